import { createHash } from 'node:crypto'
import type { Blocker, Gate, MigrationState, Phase, RevertCause } from '@switchback/migrations-registry'
import {
  initialState,
  judgeGate,
  mayBeAtWork,
  oldestLiveEpoch,
  transition,
} from '@switchback/migrations-registry'
import { recordChange } from '../changes/record-change.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'
import type { FleetReader } from '../fleet/fleet-port.ts'
import {
  findMigration,
  insertMigration,
  listMigrations,
  lockMigration,
  phasesOf,
  saveState,
} from './migration-store.ts'
import type {
  Actor,
  Command,
  CommandResult,
  OpenRepairs,
  PhaseService,
  RegisterInput,
  StoredMigration,
} from './phase-service.ts'
import { toEvent } from './to-event.ts'

/** What the gate asks of a target database; `undefined` where it cannot be reached. */
export interface TargetFacts {
  repairs(migration: StoredMigration): Promise<OpenRepairs | undefined>
  failedRows(migration: StoredMigration): Promise<number>
  /** Passes the fence up to `epoch`; blockers where older transactions are still open. */
  passFence(migration: StoredMigration, epoch: number): Promise<readonly Blocker[]>
}

/** A revert as the incidents are told of it, in the transaction that commits it. */
export interface RevertRecord {
  readonly incident: string
  readonly migration: string
  readonly cause: RevertCause
  readonly from: { readonly phase: Phase; readonly epoch: number }
  readonly to: { readonly phase: Phase; readonly epoch: number }
  readonly at: number
}

export interface RevertRecorder {
  opened(tx: Queryable, revert: RevertRecord): Promise<void>
  /** A further step back, a re-arm, or a step of work that belongs to the incident. */
  noted(tx: Queryable, incident: string, at: number, kind: string, message: string): Promise<void>
}

export interface PhaseServiceDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly fleet: FleetReader
  readonly target: TargetFacts
  readonly reverts: RevertRecorder
  /** Told after each commit. */
  readonly announce: (revision: number) => void
}

const AUDIT_KIND: Readonly<Record<Command['type'], string>> = {
  advance: 'migration.advanced',
  'set-rollout': 'migration.rollout-set',
  'set-flags': 'migration.flags-set',
  'set-backfill': 'migration.backfill-set',
  pause: 'migration.paused',
  resume: 'migration.resumed',
  approve: 'migration.approved',
  revert: 'migration.reverted',
  'continue-revert': 'migration.reverted-further',
  restore: 'migration.restore-asked',
  rearm: 'migration.rearmed',
  'retry-work': 'work.retried',
  'fence-passed': 'fence.passed',
  'work-started': 'work.started',
  'work-committing': 'work.committing',
  'work-done': 'work.done',
  'work-failed': 'work.failed',
}

export function createPhaseService(deps: PhaseServiceDeps): PhaseService {
  const { db, clock, newId, fleet, target, reverts } = deps

  async function factsOf(
    on: Queryable,
    migration: StoredMigration,
    targetFacts: { repairs: OpenRepairs | undefined; failedRows: number },
  ) {
    const { definition, sql } = migration
    const instances = await fleet.factsFor(on, definition.id, definition.apps)
    const phases = await phasesOf(on, definition.dependsOn)
    const dependencies = definition.dependsOn.map((id) => ({ id, phase: phases.get(id) }))
    return {
      now: clock(),
      instances,
      ...targetFacts,
      hasContractSql: sql.contract !== undefined,
      dependencies,
    }
  }

  const askTarget = async (migration: StoredMigration) => ({
    repairs: await target.repairs(migration),
    failedRows: await target.failedRows(migration),
  })

  async function gate(id: string): Promise<Gate | undefined> {
    const migration = await findMigration(db, id)
    if (migration === undefined) return undefined
    return judgeGate(
      migration.definition,
      migration.state,
      await factsOf(db, migration, await askTarget(migration)),
    )
  }

  /** What an advance must know of the target before the transaction: asked outside of it, so that no lock of
   *  the store is held while the target is waited for. */
  async function prepareAdvance(migration: StoredMigration, command: Extract<Command, { type: 'advance' }>) {
    const targetFacts = await askTarget(migration)
    const judged = judgeGate(migration.definition, migration.state, await factsOf(db, migration, targetFacts))
    const blockers = withoutForced(judged.blockers, command.force)
    if (blockers.length > 0 || judged.passFence === undefined)
      return { targetFacts, passed: undefined, fence: [] }
    const fence = await target.passFence(migration, judged.passFence)
    return { targetFacts, passed: fence.length === 0 ? judged.passFence : undefined, fence }
  }

  async function command(id: string, asked: Command, actor: Actor): Promise<CommandResult> {
    for (;;) {
      const before = await findMigration(db, id)
      if (before === undefined) return unknown(id)
      const prepared = asked.type === 'advance' ? await prepareAdvance(before, asked) : undefined
      const result = await db.tx(async (tx): Promise<CommandResult | 'moved'> => {
        const migration = await lockMigration(tx, id)
        if (migration === undefined) return unknown(id)
        // What was proven about the target was proven for the epoch that was read before.
        if (prepared !== undefined && migration.state.epoch !== before.state.epoch) return 'moved'
        const facts = await factsOf(
          tx,
          migration,
          prepared?.targetFacts ?? { repairs: undefined, failedRows: 0 },
        )
        const blockers =
          asked.type === 'advance'
            ? [
                ...withoutForced(
                  judgeGate(migration.definition, migration.state, facts).blockers,
                  asked.force,
                ),
                ...(prepared?.fence ?? []),
              ]
            : []
        const incident = newId('inc')
        const event = toEvent(asked, actor, migration, {
          ...facts,
          blockers,
          passed: prepared?.passed,
          incident,
        })
        const atWork = facts.instances.filter((instance) => mayBeAtWork(instance, facts.now))
        const outcome = transition(migration.state, event, {
          definition: migration.definition,
          now: facts.now,
          oldestLive: oldestLiveEpoch(atWork, migration.state.epoch, facts.now),
        })
        if (!outcome.ok) {
          return { ok: false, refusal: outcome.refusal, ...(blockers.length === 0 ? {} : { blockers }) }
        }
        const { state } = outcome
        const revision = await recordChange(tx, {
          at: facts.now,
          actor: actor.name,
          kind: AUDIT_KIND[asked.type],
          subject: id,
          detail: { command: asked, from: position(migration.state), to: position(state) },
        })
        await saveState(tx, id, state, revision, facts.now)
        await tellIncidents(tx, id, asked, actor, migration.state, state, facts.now)
        return { ok: true, migration: { ...migration, state, revision } }
      })
      if (result === 'moved') continue
      if (result.ok) deps.announce(result.migration.revision)
      return result
    }
  }

  async function tellIncidents(
    tx: Queryable,
    id: string,
    asked: Command,
    actor: Actor,
    from: MigrationState,
    to: MigrationState,
    at: number,
  ) {
    const incident = to.latch?.incident ?? from.latch?.incident
    if (incident === undefined) return
    if (asked.type === 'revert') {
      const cause: RevertCause = { ...asked.cause, by: actor.name, incident }
      await reverts.opened(tx, { incident, migration: id, cause, from: position(from), to: position(to), at })
    } else if (asked.type === 'continue-revert') {
      await reverts.noted(
        tx,
        incident,
        at,
        'reverted-further',
        `Went back further, to ${to.phase} (epoch ${to.epoch}).`,
      )
    } else if (asked.type === 'rearm') {
      await reverts.noted(tx, incident, at, 'rearmed', `Re-armed by ${actor.name}: ${asked.reason}`)
    }
  }

  return {
    list: () => listMigrations(db),
    get: (id) => findMigration(db, id),
    gate,
    command,
    register: async (input: RegisterInput, actor) => {
      const { id } = input.definition
      const checksum = checksumOf(input)
      const result = await db.tx(async (tx): Promise<CommandResult> => {
        await tx.query('select from head for update')
        const existing = await lockMigration(tx, id)
        if (existing?.checksum === checksum) return { ok: true, migration: existing }
        if (
          existing !== undefined &&
          (existing.state.phase !== 'planned' || existing.state.work !== undefined)
        ) {
          return {
            ok: false,
            refusal: {
              code: 'definition-in-use',
              message: `${id} stands at ${existing.state.phase}; its definition can be replaced only while it is planned.`,
              action: 'Revert it to planned first, or register the change under a new id.',
            },
          }
        }
        const at = clock()
        const state = existing?.state ?? initialState(id, at)
        const kind = existing === undefined ? 'migration.registered' : 'migration.replaced'
        const revision = await recordChange(tx, {
          at,
          actor: actor.name,
          kind,
          subject: id,
          detail: { checksum },
        })
        const migration = { ...input, checksum, state, revision }
        await insertMigration(tx, migration, at)
        return { ok: true, migration }
      })
      if (result.ok) deps.announce(result.migration.revision)
      return result
    },
  }
}

const position = (state: MigrationState) => ({ phase: state.phase, epoch: state.epoch })

const unknown = (id: string): CommandResult => ({
  ok: false,
  refusal: {
    code: 'unknown-migration',
    message: `There is no migration "${id}".`,
    action: 'See `switchback migrations`.',
  },
})

/** Blockers that remain after those passed over by force; only such as cannot lose data can be. */
const withoutForced = (blockers: readonly Blocker[], force: readonly string[] = []): readonly Blocker[] =>
  blockers.filter((blocker) => !(blocker.forceable && force.includes(blocker.code)))

const checksumOf = ({ source, sql }: RegisterInput): string =>
  createHash('sha256')
    .update(JSON.stringify([source, sql.expand, sql.rollback ?? null, sql.contract ?? null]))
    .digest('hex')
