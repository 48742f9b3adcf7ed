import type { Signal, SignalAction, SignalDecision } from '@switchback/migrations-registry'
import {
  atLeast,
  decideSignal,
  latestExposed,
  nameOf,
  sharingTables,
  tablesOf,
  tripwiresOf,
} from '@switchback/migrations-registry'
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
  for (const group of sharingTables(migrations)) {
    const latest = latestExposed(group)
    for (const migration of group) {
      const incident = incidentOf(alert.id, migrations.indexOf(migration))
      const isShared = group.length > 1
      const shared: Shared = isShared ? { with: group, latest } : undefined
      all.push(await decideFor(deps, alert, migration, incident, shared))
      // Whose doing it was, a person has to find out before either goes on.
      if (isShared && migration === latest) await pauseToo(deps, migration, group)
    }
  }
  return all.sort((a, b) => WEIGHT[b.outcome.action] - WEIGHT[a.outcome.action])
}

/** Migrations on one table, of which an alert names none; the one that was exposed last is reverted. */
type Shared =
  | { readonly with: readonly StoredMigration[]; readonly latest: StoredMigration | undefined }
  | undefined

async function pauseToo(
  { phases }: DecideDeps,
  { definition: { id } }: StoredMigration,
  group: readonly StoredMigration[],
): Promise<void> {
  const now = await phases.get(id)
  if (now?.state.latch === undefined || now.state.paused) return
  const others = group.map(({ definition }) => definition.id).filter((other) => other !== id)
  const reason = `An alert that names none of ${[id, ...others].join(', ')} has reverted this one.`
  await phases.command(id, { type: 'pause', reason }, ALERT)
}

/** What is decided where several share a table: only the one that was exposed last is reverted. */
function amongShared(
  decision: SignalDecision,
  { definition: { id } }: StoredMigration,
  shared: Shared,
): SignalDecision {
  if (shared === undefined || decision.action !== 'revert' || shared.latest?.definition.id === id) {
    return decision
  }
  const others = shared.with.map(({ definition }) => definition.id).filter((other) => other !== id)
  const latest = shared.latest?.definition.id
  const why =
    latest === undefined
      ? 'one of them was reverted already'
      : `${latest} was changed last and is reverted; this one is paused`
  const explanation = `${decision.explanation} The alert names no migration, and ${others.join(', ')} uses the same table: ${why}.`
  return { ...decision, action: 'pause', explanation }
}

async function decideFor(
  { phases, clock }: DecideDeps,
  alert: OpenAlert,
  stored: StoredMigration,
  incident: string,
  shared?: Shared,
): Promise<DecidedAlert> {
  const { signal, scope } = alert
  const { definition, state } = stored
  const migration = definition.id
  const decidedAt = clock()
  if (scope !== undefined && !scope.includes(migration)) {
    const explanation = `The sender's token is not for ${migration}.`
    return plain({ migration, action: 'none', reason: 'refused', explanation }, decidedAt)
  }
  const decision = amongShared(decideSignal(definition, state, signal), stored, shared)
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
      ? await phases.command(migration, { type: 'pause', reason: because }, ALERT)
      : await phases.command(
          migration,
          { type: 'revert', cause: causeOf(signal, explanation, incident), run: state.run },
          ALERT,
        )
  const committedAt = clock()
  if (!result.ok) {
    const { code, message, action: safeWay } = result.refusal
    // What it asks for may be right: it is decided once the target has answered, or given up like any other.
    if (code === 'target-not-compared') throw new Error(`${message} ${safeWay}`)
    // Somebody else's revert came first: that is what a latch is, not a refusal to be tried again.
    const late = code === 'already-latched' ? 'latched' : code === 'run-over' ? 'stale' : 'refused'
    const refused = `${because} Refused: ${message} ${safeWay}`
    const told = result.incident === undefined ? {} : { incident: result.incident }
    return plain({ migration, action: 'none', reason: late, explanation: refused, ...told }, decidedAt)
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

/** The migration that the alert names; otherwise those whose alert tripwire it matches by labels, or by its table. */
async function migrationsOf(
  phases: Pick<PhaseService, 'get' | 'list'>,
  signal: Signal,
): Promise<readonly StoredMigration[]> {
  if (signal.migration !== undefined) {
    const named = await phases.get(signal.migration)
    return named === undefined ? [] : [named]
  }
  const all = await phases.list()
  // Where some are exposed, those that are not have nothing to do with it.
  const matching = all.filter((migration) => isAbout(migration, signal))
  const exposed = matching.filter(({ state }) => atLeast(state.phase, 'dual-write'))
  return exposed.length > 0 ? exposed : matching
}

function isAbout({ definition }: StoredMigration, { labels }: Signal): boolean {
  const { table } = labels
  const isItsTable = table !== undefined && tablesOf(definition).includes(table.replace(/^public\./, ''))
  return tripwiresOf(definition).some((tripwire) => {
    if (tripwire.watch !== 'alert') return false
    // An empty match means every alert about this migration or its tables, not every alert there is.
    const wanted = Object.entries(tripwire.match)
    const matches = wanted.every(([label, value]) => labels[label] === value)
    return matches && (wanted.length > 0 || isItsTable)
  })
}
