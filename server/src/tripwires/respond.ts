import type { TripwireVerdict } from '@switchback/migrations-registry'
import { recordChange } from '../changes/record-change.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { Incidents } from '../incidents/incidents.ts'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'
import { endBreach, insertBreach } from './breach-store.ts'

export interface RespondDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly phases: Pick<PhaseService, 'command'>
  readonly incidents: Pick<Incidents, 'breached'>
  /** Told of the revision under which a breach was written down. */
  readonly announce: (revision: number) => void
}

/** Does what a breached tripwire asks for, once for each breach, and writes down what was seen. */
export type Respond = (migration: StoredMigration, verdict: TripwireVerdict, seenAt: number) => Promise<void>

const TRIPWIRE = { name: 'tripwire' }

export function createRespond(deps: RespondDeps): Respond {
  const { db, clock, newId, phases, incidents } = deps

  async function revert(
    { definition: { id }, state }: StoredMigration,
    verdict: TripwireVerdict,
    seenAt: number,
  ): Promise<void> {
    const incident = newId('inc')
    const decidedAt = clock()
    const { path, operation } = verdict
    const cause = {
      kind: 'tripwire' as const,
      reason: verdict.explanation,
      incident,
      ...(path === undefined ? {} : { path }),
      ...(operation === undefined ? {} : { operation }),
    }
    const result = await phases.command(id, { type: 'revert', cause, run: state.run }, TRIPWIRE)
    const committedAt = clock()
    // Another server was quicker, or a person; or what was measured is not what runs now.
    if (!result.ok && NOT_NEEDED.includes(result.refusal.code)) return
    await db.tx(async (tx) => {
      const told = result.ok ? incident : result.incident
      if (result.ok) {
        const times = { seenAt, decidedAt, committedAt }
        await incidents.breached(tx, { incident, ...times, verdict })
        await endBreach(tx, id, verdict.name, committedAt)
      }
      const refused = result.ok ? '' : ` Refused: ${result.refusal.message} ${result.refusal.action}`
      await insertBreach(tx, {
        migration: id,
        epoch: state.epoch,
        verdict: { ...verdict, explanation: verdict.explanation + refused },
        action: result.ok ? 'revert' : 'refused',
        at: seenAt,
        ended: result.ok,
        ...(told === undefined ? {} : { incident: told }),
      })
    })
  }

  /** Writes a breach down; undefined where it goes on already, so that nothing is done about it twice. */
  async function begin(
    { definition: { id }, state }: StoredMigration,
    verdict: TripwireVerdict,
    action: string,
    seenAt: number,
  ): Promise<number | undefined> {
    return await db.tx(async (tx) => {
      const fresh = await insertBreach(tx, {
        migration: id,
        epoch: state.epoch,
        verdict,
        action,
        at: seenAt,
      })
      if (!fresh) return undefined
      const { name, reason, explanation, numbers } = verdict
      return await recordChange(tx, {
        at: seenAt,
        actor: TRIPWIRE.name,
        kind: 'tripwire.breached',
        subject: id,
        detail: { tripwire: name, action, reason, explanation, numbers, epoch: state.epoch },
      })
    })
  }

  return async (migration, verdict, seenAt) => {
    if (verdict.action === 'revert') return await revert(migration, verdict, seenAt)
    const action = verdict.reason === 'dry-run' ? 'dry-run' : verdict.action
    const revision = await begin(migration, verdict, action, seenAt)
    if (revision === undefined) return
    deps.announce(revision)
    if (verdict.action !== 'pause') return
    const reason = `${verdict.name}: ${verdict.explanation}`
    await phases.command(migration.definition.id, { type: 'pause', reason }, TRIPWIRE)
  }
}

const NOT_NEEDED: readonly string[] = [
  'already-latched',
  'run-over',
  'nothing-to-revert',
  'unknown-migration',
]
