import type { Path } from './phases.ts'
import type { MigrationState, Millis } from './state.ts'
import { latencyQuantile, leastDifference, type Proportion, rateOf } from './statistics.ts'
import { limitText, type MeasuredTripwire } from './tripwire-schema.ts'
import { formatDuration } from './units.ts'
import type { Judgement, TripwireFacts, VerdictNumbers } from './verdict.ts'
import type { Figures, OperationKind, WindowQuery } from './windows.ts'

/** Worse than the other path by less than this factor: both fail alike. */
const ALIKE = 1.5
/** A path that is below this share of the limit does not fail at all. */
const FAILING = 0.5
/** The other path must have this many samples before it can take the blame off this one. */
const ALIKE_SAMPLES = 30
const CONFIDENCE = 0.99
/** While both fail, chance gets a look with every batch of measurements: it must not win one of hundreds. */
const WORSE_CONFIDENCE = 0.9999
const FLOOR_MS = 2

/** One look: the value of the path in one window. */
interface Look {
  readonly value: number
  readonly samples: number
  readonly proportion?: Proportion
  readonly figures: Figures
}

type Judged = Judgement & { readonly operation?: OperationKind }
type Part = Pick<WindowQuery, 'window' | 'ago' | 'newest'>

/** What is judged apart, gravest first: what is suspicious outweighs what is fine, and nothing known nothing. */
const RANK: readonly Judgement['reason'][] = [
  'breach',
  'both-paths',
  'not-in-a-row',
  'not-proven',
  'below-limit',
  'over',
  'too-few-samples',
]

/** Judges a measured tripwire: reads and writes each by themselves, or all of them where each has too few samples. */
export function judgeMeasured(
  tripwire: MeasuredTripwire,
  running: readonly OperationKind[],
  state: MigrationState,
  facts: TripwireFacts,
): Judgement {
  const asked = tripwire.operation === undefined ? running : running.filter((o) => o === tripwire.operation)
  const kinds = asked.filter((kind) => measures(tripwire, kind))
  if (kinds.length === 0) {
    const what =
      tripwire.operation === undefined ? tripwire.path : `${tripwire.operation}s of ${tripwire.path}`
    const explanation = `Nothing runs that could be measured: ${what} is not in use in ${state.phase}.`
    return { outcome: 'fine', reason: 'not-in-use', explanation, numbers: {} }
  }
  const parts: Judged[] = kinds.map((operation) => ({
    ...judgeOne(tripwire, operation, state, facts),
    operation,
  }))
  const few = parts.every(({ reason }) => reason === 'too-few-samples')
  // Latencies of reads and of writes make no common quantile.
  if (few && parts.length > 1 && tripwire.watch !== 'latency-p99') {
    parts.push(judgeOne(tripwire, undefined, state, facts))
  }
  const rank = (part: Judged): number => RANK.indexOf(part.reason)
  return parts.reduce((worst, part) => (rank(part) < rank(worst) ? part : worst))
}

/** Comparisons are told with reads, failures of the path that does not lead with writes. */
function measures({ watch }: MeasuredTripwire, kind: OperationKind): boolean {
  if (watch === 'mismatch-rate') return kind === 'read'
  if (watch === 'secondary-failure-rate') return kind === 'write'
  return true
}

function judgeOne(
  tripwire: MeasuredTripwire,
  operation: OperationKind | undefined,
  state: MigrationState,
  { windows, now }: TripwireFacts,
): Judgement {
  const { path } = tripwire
  const other: Path = path === 'new' ? 'old' : 'new'
  const look = (of: Path, part: Part, notBefore = state.run.at): Look =>
    lookAt(
      tripwire,
      windows.sum({
        ...part,
        path: of,
        now,
        sinceEpoch: state.run.epoch,
        notBefore,
        ...(operation === undefined ? {} : { operation }),
      }),
    )
  const sinceFailing = (part: Part): Looks => {
    const from = tripwire.watch === 'error-rate' ? look(path, part).figures.firstFailedAt : undefined
    return { own: look(path, part, from), other: look(other, part, from) }
  }
  const judgeWindow = (window: Millis, ago: number, samples: number): Judgement =>
    compare(tripwire, operation, {
      own: look(path, { window, ago }),
      other: look(other, { window, ago }),
      sinceFailing: (newest) => sinceFailing({ window, ago, newest }),
      samples,
    })

  const present = judgeWindow(tripwire.window, 0, tripwire.samples)
  if (present.outcome !== 'breach') return present
  if (tripwire.shortWindow !== undefined) {
    const share = tripwire.shortWindow / tripwire.window
    const least = Math.max(10, Math.ceil(tripwire.samples * share))
    const short = judgeWindow(tripwire.shortWindow, 0, least)
    if (short.outcome !== 'breach') {
      const explanation = `${present.explanation} Within the last ${formatDuration(tripwire.shortWindow)} no more: ${short.explanation}`
      return short.outcome === 'fine'
        ? { ...present, outcome: 'fine', reason: 'over', explanation }
        : { ...present, outcome: 'inconclusive', reason: 'not-proven', explanation }
    }
  }
  for (let ago = 1; ago < tripwire.for; ago++) {
    const before = judgeWindow(tripwire.window, ago, tripwire.samples)
    if (before.outcome === 'breach') continue
    const explanation = `${present.explanation} For ${ago} of ${tripwire.for} windows in a row.`
    return { ...present, outcome: 'inconclusive', reason: 'not-in-a-row', explanation }
  }
  return present
}

function lookAt({ watch }: MeasuredTripwire, figures: Figures): Look {
  if (watch === 'latency-p99') {
    return { value: latencyQuantile(figures.latency, 0.99) ?? 0, samples: figures.count, figures }
  }
  const proportion: Proportion =
    watch === 'error-rate'
      ? { hits: figures.failed, of: figures.count }
      : watch === 'mismatch-rate'
        ? { hits: figures.mismatches, of: figures.compared }
        : { hits: figures.secondaryFailures, of: figures.count }
  return { value: rateOf(proportion), samples: proportion.of, proportion, figures }
}

/** The same of both paths. */
interface Looks {
  readonly own: Look
  readonly other: Look
}

interface Compared extends Looks {
  /** Both paths from the first failure of this one on, within the newest part of the window or all of it. */
  readonly sinceFailing: (newest: boolean) => Looks
  readonly samples: number
}

/** One window of the path beside the same of the other path. */
function compare(
  tripwire: MeasuredTripwire,
  operation: OperationKind | undefined,
  { own, other, sinceFailing, samples }: Compared,
): Judgement {
  const { path, above, confidence = CONFIDENCE } = tripwire
  const isRelative = typeof above !== 'number'
  const limit = limitOf(tripwire, other.value)
  const numbers = numbersOf(own, other, limit)
  const judged = (outcome: Judgement['outcome'], reason: Judgement['reason'], explanation: string) => ({
    outcome,
    reason,
    explanation,
    numbers,
  })
  const what = operation === undefined ? path : `${operation}s of ${path}`
  const short = isRelative ? Math.min(own.samples, other.samples) : own.samples
  if (short < samples) {
    const which = isRelative && other.samples < own.samples ? 'old' : path
    return judged(
      'inconclusive',
      'too-few-samples',
      `${short} samples of ${which} within the window; the tripwire wants ${samples}.`,
    )
  }
  const text = `${tripwire.watch} of ${what} is ${unit(tripwire, own.value)} of ${own.samples}${
    other.samples === 0 ? '' : `, of the other path ${unit(tripwire, other.value)} of ${other.samples}`
  }; the limit is ${limitText(tripwire)}`
  if (own.value <= limit) return judged('fine', 'below-limit', `${text}.`)
  if (isRelative) {
    const { watch, floor = FLOOR_MS } = tripwire
    if (watch === 'latency-p99' && own.value <= floor) {
      return judged('fine', 'below-limit', `${text}; up to ${floor}ms nothing counts.`)
    }
    const least = leastExcess(tripwire, own, other, confidence)
    if (least !== undefined && least <= 0) {
      return judged('inconclusive', 'not-proven', `${text}; that may still be chance.`)
    }
  } else if (failsAlike(tripwire, sinceFailing, limit)) {
    return judged('breach', 'both-paths', `${text}. Both paths fail alike: it is not the migration's doing.`)
  }
  return judged('breach', 'breach', `${text}.`)
}

function limitOf({ above }: MeasuredTripwire, other: number): number {
  if (typeof above === 'number') return above
  return 'timesOld' in above ? above.timesOld * other : other + above.overOld
}

/** What a rate is certainly above its limit by; undefined for latencies, of which samples alone make sure. */
function leastExcess(
  { above }: MeasuredTripwire,
  own: Look,
  other: Look,
  confidence: number,
): number | undefined {
  if (own.proportion === undefined || other.proportion === undefined) return undefined
  const certain = leastDifference(own.proportion, other.proportion, confidence)
  return typeof above === 'object' && 'overOld' in above ? certain - above.overOld : certain
}

/**
 * Whether the other path fails as well, and this one not clearly worse. Good samples from before the first failure
 * say nothing of it: at the beginning of an outage of both, the path with more of them would look well for
 * longest. The newest part of the window decides as long as this path fails in it: what failed alike before it
 * does not excuse what fails alone now.
 */
function failsAlike(
  tripwire: MeasuredTripwire,
  sinceFailing: Compared['sinceFailing'],
  limit: number,
): boolean {
  if (tripwire.watch === 'mismatch-rate' || tripwire.watch === 'secondary-failure-rate') return false
  const newest = sinceFailing(true)
  const isEnough = Math.min(newest.own.samples, newest.other.samples) >= ALIKE_SAMPLES
  const { own, other } = isEnough && newest.own.value > limit ? newest : sinceFailing(false)
  if (other.samples < ALIKE_SAMPLES || other.value < FAILING * limit) return false
  if (own.value <= ALIKE * other.value) return true
  if (own.proportion === undefined || other.proportion === undefined) return false
  return leastDifference(own.proportion, other.proportion, WORSE_CONFIDENCE) <= 0
}

function numbersOf(own: Look, other: Look, limit: number): VerdictNumbers {
  const { errors, firstFailedAt } = own.figures
  return {
    value: own.value,
    limit,
    samples: own.samples,
    ...(other.samples === 0 ? {} : { other: other.value, otherSamples: other.samples }),
    ...(errors.size === 0 ? {} : { errors: Object.fromEntries(errors) }),
    ...(firstFailedAt === undefined ? {} : { firstBadAt: firstFailedAt }),
  }
}

const unit = ({ watch }: MeasuredTripwire, value: number): string =>
  watch === 'latency-p99' ? `${Number(value.toFixed(2))}ms` : `${Number((value * 100).toFixed(3))}%`
