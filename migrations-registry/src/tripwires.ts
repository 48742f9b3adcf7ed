import { type MigrationDefinition, tripwiresOf } from './definition.ts'
import { judgeDatabase } from './judge-database.ts'
import { judgeMeasured } from './judge-measured.ts'
import { judgeVerification } from './judge-verification.ts'
import type { Path } from './phases.ts'
import { READ_ROUTES, type Routing, WRITE_ROUTES } from './routing.ts'
import { currentRouting, type MigrationState, type Millis } from './state.ts'
import type { Tripwire } from './tripwire-schema.ts'
import { isOfVerification, nameOf } from './tripwire-schema.ts'
import { formatDuration } from './units.ts'
import type { Judgement, TripwireFacts } from './verdict.ts'
import type { OperationKind } from './windows.ts'

/** What one tripwire says now, with the numbers it saw. */
export interface TripwireVerdict extends Judgement {
  readonly tripwire: Tripwire
  readonly name: string
  /** What is to be done about it now. */
  readonly action: 'revert' | 'pause' | 'notify' | 'none'
  readonly path?: Path
}

/**
 * Evaluates the tripwires of a migration, or the default ones. Pure, and the same in every phase, paused or
 * not. Only what was measured in the present run counts. Alerts are judged by `decideSignal`.
 */
export function evaluateTripwires(
  definition: MigrationDefinition,
  state: MigrationState,
  facts: TripwireFacts,
): readonly TripwireVerdict[] {
  if (definition.copy === undefined) return []
  return tripwiresOf(definition).flatMap((tripwire) => {
    if (tripwire.watch === 'alert') return []
    const judgement = judge(tripwire, definition, state, facts)
    const verdict = {
      ...judgement,
      tripwire,
      name: nameOf(tripwire),
      action: 'none' as const,
      ...('path' in tripwire ? { path: tripwire.path } : {}),
    }
    return [judgement.outcome === 'breach' ? withAction(verdict, state) : verdict]
  })
}

function judge(
  tripwire: Exclude<Tripwire, { watch: 'alert' }>,
  definition: MigrationDefinition,
  state: MigrationState,
  facts: TripwireFacts,
): Judgement {
  if (tripwire.watch === 'database') return judgeDatabase(tripwire, facts.database[tripwire.signal] ?? [])
  if (isOfVerification(tripwire)) return judgeVerification(tripwire, state)
  const routing = currentRouting(definition.id, state)
  if (tripwire.watch === 'telemetry') return judgeSilence(tripwire.missing, routing, state, facts)
  const running = operationsOn(routing, tripwire.path)
  return judgeMeasured(tripwire, running, state, facts)
}

/** Which kinds of operations run on a path under this routing, served, compared or written. */
function operationsOn({ read, write }: Routing, path: Path): readonly OperationKind[] {
  const variants = read.kind === 'fixed' ? [read.variant] : [read.inside, read.outside]
  const reads = variants.some((variant) => {
    const { served, compared } = READ_ROUTES[variant]
    return served === path || compared === path
  })
  const writes = WRITE_ROUTES[write].order.includes(path)
  return [...(reads ? (['read'] as const) : []), ...(writes ? (['write'] as const) : [])]
}

/** The dead man's switch: whoever cannot measure cannot know that all is well. */
function judgeSilence(
  missing: Millis,
  routing: Routing,
  state: MigrationState,
  { live, listeningSince, windows, now }: TripwireFacts,
): Judgement {
  const numbers = { limit: missing }
  if (live === 0 || operationsOn(routing, 'new').length === 0) {
    const why = live === 0 ? 'No live instance has handlers for it.' : 'New is not in use.'
    return { outcome: 'fine', reason: 'not-in-use', explanation: why, numbers }
  }
  const since = Math.max(windows.lastAt ?? 0, state.run.at, listeningSince)
  const value = now - since
  const explanation = `No operation was told of for ${formatDuration(value)}, with ${live} live instances; the limit is ${formatDuration(missing)}.`
  return value > missing
    ? { outcome: 'breach', reason: 'breach', explanation, numbers: { ...numbers, value } }
    : { outcome: 'fine', reason: 'below-limit', explanation, numbers: { ...numbers, value } }
}

function withAction(verdict: TripwireVerdict, state: MigrationState): TripwireVerdict {
  const { tripwire } = verdict
  // Going back does not help what fails on both paths: a person has to look for another cause.
  const wanted = verdict.reason === 'both-paths' ? 'notify' : tripwire.do
  if (tripwire.dryRun) {
    const explanation = `${verdict.explanation} Dry run: would ${wanted}.`
    return { ...verdict, reason: 'dry-run', explanation }
  }
  if (wanted === 'revert' && state.latch !== undefined) {
    const explanation = `${verdict.explanation} Latched already: ${state.latch.reason}`
    return { ...verdict, reason: 'latched', explanation }
  }
  if (wanted === 'pause' && state.paused) return verdict
  return { ...verdict, action: wanted }
}

/**
 * Why autopilot waits: what is breached or cannot be told is no ground to go on. Empty where nobody uses the
 * migration, for then there is nothing to be measured.
 */
export function autopilotHolds(verdicts: readonly TripwireVerdict[], live: number): readonly string[] {
  if (live === 0) return []
  return verdicts
    .filter(({ outcome, tripwire }) => outcome !== 'fine' && !tripwire.dryRun)
    .map(({ name, explanation }) => `${name}: ${explanation}`)
}
