import type { Signal, SignalAction } from '@switchback/migrations-registry'
import { decideSignal, nameOf } from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { CommandResult, PhaseService, StoredMigration } from '../phases/phase-service.ts'
import type { AlertOutcome, OpenAlert } from './alert-store.ts'

/** What was done about one alert, with the times that an incident is told. */
export interface DecidedAlert {
  readonly outcome: AlertOutcome
  readonly decidedAt: number
  /** When the revert was committed; undefined where it was found done. */
  readonly committedAt?: number
}

export interface DecideDeps {
  readonly phases: Pick<PhaseService, 'get' | 'list' | 'command'>
  readonly clock: Clock
}

const ALERT = { name: 'alert' }
const WEIGHT: Readonly<Record<SignalAction, number>> = { none: 0, notify: 1, pause: 2, revert: 3 }

/**
 * The id of the incident that a revert by this alert opens. Derived, so that whoever takes the alert up
 * again after a crash finds what was done already.
 */
const incidentOf = (alert: string, index: number): string =>
  `inc_${alert.replace(/^alr_/, '')}${index === 0 ? '' : `-${index}`}`

/** Decides about an alert and does it. One that speaks of several migrations acts on each of them. */
export async function decideAlert(deps: DecideDeps, alert: OpenAlert): Promise<readonly DecidedAlert[]> {
  const { phases, clock } = deps
  const migrations = await migrationsOf(phases, alert.signal)
  if (migrations.length === 0) {
    const explanation =
      alert.signal.migration === undefined
        ? 'The alert has no label "migration", and no tripwire with labels matches it.'
        : `There is no migration "${alert.signal.migration}".`
    return [plain({ action: 'none', reason: 'no-migration', explanation }, clock())]
  }
  const all: DecidedAlert[] = []
  for (const [index, migration] of migrations.entries()) {
    all.push(await decideFor(deps, alert, migration, incidentOf(alert.id, index)))
  }
  return all.sort((a, b) => WEIGHT[b.outcome.action] - WEIGHT[a.outcome.action])
}

async function decideFor(
  { phases, clock }: DecideDeps,
  alert: OpenAlert,
  { definition, state }: StoredMigration,
  incident: string,
): Promise<DecidedAlert> {
  const { signal, scope } = alert
  const migration = definition.id
  const decidedAt = clock()
  if (scope !== undefined && !scope.includes(migration)) {
    const explanation = `The sender's token is not for ${migration}.`
    return plain({ migration, action: 'none', reason: 'refused', explanation }, decidedAt)
  }
  const decision = decideSignal(definition, state, signal)
  const { action, reason, explanation, tripwire } = decision
  if (action === 'none' || action === 'notify') {
    // A crash came between the revert and this note: the latch is this alert's own.
    if (state.latch?.incident === incident) {
      const own = 'Reverted by this alert.'
      return plain(
        { migration, action: 'revert', reason: 'alert-matched', explanation: own, incident },
        decidedAt,
      )
    }
    return plain({ migration, action, reason, explanation }, decidedAt)
  }
  const because = tripwire === undefined ? explanation : `${explanation} Tripwire: ${nameOf(tripwire)}.`
  const result: CommandResult =
    action === 'pause'
      ? await phases.command(migration, { type: 'pause' }, ALERT)
      : await phases.command(
          migration,
          { type: 'revert', cause: causeOf(signal, explanation, incident) },
          ALERT,
        )
  const committedAt = clock()
  if (!result.ok) {
    const { code, message } = result.refusal
    // Somebody else's revert came first: that is what a latch is, not a refusal to be tried again.
    const late = code === 'already-latched' ? 'latched' : 'refused'
    return plain(
      { migration, action: 'none', reason: late, explanation: `${because} Refused: ${message}` },
      decidedAt,
    )
  }
  return {
    outcome: {
      migration,
      action,
      reason,
      explanation: because,
      ...(action === 'revert' ? { incident } : {}),
    },
    decidedAt,
    committedAt,
  }
}

const plain = (outcome: AlertOutcome, at: number): DecidedAlert => ({ outcome, decidedAt: at })

const causeOf = (signal: Signal, reason: string, incident: string) => ({
  kind: 'alert' as const,
  reason,
  incident,
  ...(signal.path === undefined ? {} : { path: signal.path }),
  ...(signal.operation === undefined ? {} : { operation: signal.operation }),
})

/** The migration that the alert names; otherwise those with an alert tripwire whose labels it carries. */
async function migrationsOf(
  phases: Pick<PhaseService, 'get' | 'list'>,
  signal: Signal,
): Promise<readonly StoredMigration[]> {
  if (signal.migration !== undefined) {
    const named = await phases.get(signal.migration)
    return named === undefined ? [] : [named]
  }
  const all = await phases.list()
  return all.filter(({ definition }) =>
    (definition.tripwires ?? []).some((tripwire) => {
      if (tripwire.watch !== 'alert') return false
      // An empty match means every alert about this migration, not every alert there is.
      const labels = Object.entries(tripwire.match)
      return labels.length > 0 && labels.every(([label, value]) => signal.labels[label] === value)
    }),
  )
}
