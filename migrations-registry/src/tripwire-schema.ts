import { z } from 'zod'
import { durationSchema, percentSchema } from './units.ts'

const action = z.enum(['revert', 'pause', 'notify'])
const dryRun = z.boolean().default(false).describe('Write down what would be done, and do nothing')

/** A limit that is read off the old path: a multiple of it, or so much on top of it. */
type RelativeLimit = { readonly timesOld: number } | { readonly overOld: number }

const relative = z
  .string()
  .regex(/^(\d+(\.\d+)?x old|old \+ \d+(\.\d+)?(%|ms|s))$/)
  .transform((text): RelativeLimit => {
    if (text.endsWith('x old')) return { timesOld: Number.parseFloat(text) }
    const more = text.slice('old + '.length)
    return { overOld: more.endsWith('%') ? percentSchema.parse(more) : durationSchema.parse(more) }
  })
const above = z.union([percentSchema, z.number().min(0), relative, durationSchema], {
  error:
    'expected a percentage ("2%"), a time ("250ms"), a number, a multiple of the old path ("1.5x old") or more than it ("old + 1%")',
})

export const measuredTripwireSchema = z
  .strictObject({
    watch: z.enum(['error-rate', 'latency-p99', 'mismatch-rate', 'secondary-failure-rate']),
    path: z.enum(['old', 'new']).default('new'),
    operation: z
      .enum(['read', 'write'])
      .optional()
      .describe('Only these; where not given, reads and writes are judged each by itself'),
    above,
    confidence: percentSchema
      .refine((share) => share >= 0.5 && share < 1, 'expected 50% to 99.99%')
      .optional()
      .describe(
        'How certain a difference between the paths must be, where the limit is relative to old; 99% where not given',
      ),
    floor: durationSchema
      .optional()
      .describe('Latency up to this never breaches a limit that is relative to old; 2ms where not given'),
    window: durationSchema.refine(atLeastASecond, 'expected at least 1s').default(60_000),
    shortWindow: durationSchema
      .refine(atLeastASecond, 'expected at least 1s')
      .optional()
      .describe('The limit must be passed within this shorter window too: what is over reverts nothing'),
    samples: z.int().min(1).default(100).describe('Fewer than this is inconclusive'),
    for: z.int().min(1).max(100).default(1).describe('Windows in a row'),
    dryRun,
    do: action,
  })
  .superRefine((tripwire, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message, input: tripwire[field as 'above'] })
    const { watch, above: limit, path, shortWindow, window } = tripwire
    if (typeof limit !== 'number' && path === 'old') {
      refuse('above', 'old cannot be measured against itself: give a percentage or a number')
    }
    if (typeof limit !== 'number' && (watch === 'mismatch-rate' || watch === 'secondary-failure-rate')) {
      refuse('above', `${watch} has no counterpart on old: give a percentage`)
    }
    if (typeof limit === 'number' && watch !== 'latency-p99' && limit > 1) {
      refuse('above', `${watch} is a ratio: expected a percentage of at most 100%, or a number up to 1`)
    }
    if (shortWindow !== undefined && shortWindow >= window) {
      refuse('shortWindow', 'expected less than the window')
    }
  })

function atLeastASecond(ms: number): boolean {
  return ms >= 1000
}

export const DATABASE_SIGNALS = [
  'connection-errors',
  'lock-waits',
  'long-transaction',
  'replication-lag',
  'slow-queries',
] as const

export const databaseTripwireSchema = z.strictObject({
  watch: z.literal('database'),
  signal: z
    .enum(DATABASE_SIGNALS)
    .describe(
      'connection-errors: failed tries within a minute; lock-waits: sessions that wait for a lock of the tables; long-transaction, replication-lag: the longest; slow-queries: mean time of statements on the tables (pg_stat_statements)',
    ),
  above: z.union([durationSchema, z.number().min(0)], {
    error: 'expected a time ("2s") or a number',
  }),
  for: z.int().min(1).max(600).default(3).describe('Readings in a row, one each second'),
  dryRun,
  do: action,
})

/** The dead man's switch: nothing is measured although instances are there. */
export const silenceTripwireSchema = z.strictObject({
  watch: z.literal('telemetry'),
  missing: durationSchema
    .refine((ms) => ms >= 5000, 'expected at least 5s: instances send their measurements once a second')
    .default(300_000)
    .describe('How long no operation of this migration may be told of while instances are there'),
  dryRun,
  do: action,
})

/** A limit of keys, or a share of the rows that were compared. */
const keysAbove = z
  .union([percentSchema, z.int().min(0)], {
    error: 'expected a number of keys (0 for none) or a share of the rows ("0.1%")',
  })
  .default(0)

export const verificationTripwireSchema = z.strictObject({
  watch: z
    .enum(['verification', 'divergence'])
    .describe(
      'verification: keys that still differ after repair; divergence: keys that differed at all, repaired or not',
    ),
  above: keysAbove.describe('Below 1 it is a share of the rows compared, otherwise a number of keys'),
  dryRun,
  do: action,
})

export const alertTripwireSchema = z.strictObject({
  watch: z.literal('alert'),
  match: z.record(z.string(), z.string()).default({}),
  dryRun,
  do: action,
})

export const tripwireSchema = z.discriminatedUnion('watch', [
  measuredTripwireSchema,
  databaseTripwireSchema,
  silenceTripwireSchema,
  verificationTripwireSchema,
  alertTripwireSchema,
])

export type Tripwire = z.output<typeof tripwireSchema>
export type MeasuredTripwire = z.output<typeof measuredTripwireSchema>
export type DatabaseTripwire = z.output<typeof databaseTripwireSchema>
export type DatabaseSignal = (typeof DATABASE_SIGNALS)[number]
export type VerificationTripwire = z.output<typeof verificationTripwireSchema>
export type AlertTripwire = z.output<typeof alertTripwireSchema>

export const isOfVerification = (tripwire: Tripwire): tripwire is VerificationTripwire =>
  tripwire.watch === 'verification' || tripwire.watch === 'divergence'

/** Tripwires that hold where the definition names none. */
export const DEFAULT_TRIPWIRES: readonly Tripwire[] = z.array(tripwireSchema).parse([
  { watch: 'error-rate', path: 'new', above: '2%', window: '1m', samples: 100, do: 'revert' },
  // What fails outright is not waited for until it is 2% of a minute.
  { watch: 'error-rate', path: 'new', above: '10%', window: '5s', samples: 100, do: 'revert' },
  { watch: 'latency-p99', path: 'new', above: '2x old', window: '5m', samples: 500, for: 2, do: 'revert' },
  { watch: 'telemetry', missing: '5m', do: 'notify' },
  { watch: 'alert', do: 'revert' },
])

const percent = (ratio: number): string => `${Number((ratio * 100).toFixed(3))}%`

/** A limit of keys as a person reads it. */
export const keysText = (above: number): string =>
  above > 0 && above < 1 ? `${percent(above)} of the rows` : `${above} keys`

/** A limit of a tripwire as a person reads it. */
export function limitText({ watch, above: limit }: Pick<MeasuredTripwire, 'watch' | 'above'>): string {
  const unit = (value: number): string =>
    watch === 'latency-p99' ? `${Number(value.toFixed(3))}ms` : percent(value)
  if (typeof limit === 'number') return unit(limit)
  return 'timesOld' in limit ? `${limit.timesOld}x old` : `old + ${unit(limit.overOld)}`
}

/** A tripwire as a person reads it; the same text for the same rule, so that it also names it. */
export function nameOf(tripwire: Tripwire): string {
  switch (tripwire.watch) {
    case 'alert': {
      const labels = Object.entries(tripwire.match).map(([label, value]) => `${label}=${value}`)
      return labels.length === 0 ? 'alert' : `alert{${labels.join(',')}}`
    }
    case 'telemetry':
      return `telemetry missing for ${tripwire.missing / 1000}s`
    case 'verification':
    case 'divergence':
      return `${tripwire.watch} above ${keysText(tripwire.above)}`
    case 'database':
      return `${tripwire.signal} above ${tripwire.above}${tripwire.for === 1 ? '' : ` for ${tripwire.for} readings`}`
    default: {
      const { operation, window, for: inARow } = tripwire
      const what = operation === undefined ? tripwire.path : `${operation}s of ${tripwire.path}`
      const over = inARow === 1 ? `${window / 1000}s` : `${inARow} windows of ${window / 1000}s`
      return `${tripwire.watch} of ${what} above ${limitText(tripwire)} over ${over}`
    }
  }
}
