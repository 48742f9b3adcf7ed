import type { Schema } from '../api/client.ts'

type Throttle = NonNullable<Schema<'MigrationState'>['throttle']>
export type LimitName = keyof Throttle
export type LimitValue = number | boolean

interface Limit {
  readonly name: LimitName
  readonly words: string
  readonly kind: 'count' | 'duration' | 'bytes' | 'switch'
  /** What a value looks like as it is typed. */
  readonly example: string
}

/** What can hold copying and comparing back, in the order in which it is shown. */
export const LIMITS: readonly Limit[] = [
  { name: 'rowsPerSecond', words: 'Rows copied in a second', kind: 'count', example: '2000' },
  { name: 'latencyP99', words: "The application's p99 on old", kind: 'duration', example: '50ms' },
  {
    name: 'latencyFactor',
    words: "The application's p99, in times of what it is without copying",
    kind: 'count',
    example: '1.3',
  },
  { name: 'replicationLag', words: 'Lag of the slowest replica', kind: 'duration', example: '2s' },
  { name: 'longTransaction', words: 'Age of the oldest transaction', kind: 'duration', example: '5m' },
  { name: 'lockWaits', words: 'Sessions that wait for locks', kind: 'count', example: '3' },
  { name: 'walRate', words: 'WAL written in a second', kind: 'bytes', example: '50MB' },
  { name: 'autovacuum', words: 'Waits while a table is vacuumed', kind: 'switch', example: '' },
]

/** What holds where nothing is said, as the definition's schema has it. */
const DEFAULTS: Partial<Record<LimitName, LimitValue>> = { latencyFactor: 1.3 }

export interface Limited {
  readonly value: LimitValue | undefined
  /** Where it comes from: a person has set it, or taken it off, since the definition. */
  readonly from: 'definition' | 'set'
}

/** The limit that holds now. */
export function limitNow(
  name: LimitName,
  defined: Readonly<Record<string, unknown>> | undefined,
  set: Throttle | undefined,
): Limited {
  const own = set?.[name]
  if (own !== undefined) return { value: own ?? undefined, from: 'set' }
  const value = defined?.[name] === undefined ? DEFAULTS[name] : defined[name]
  return {
    value: typeof value === 'number' || typeof value === 'boolean' ? value : undefined,
    from: 'definition',
  }
}

const TIMES = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const
const SIZES = [
  [1_000_000_000, 'GB'],
  [1_000_000, 'MB'],
  [1_000, 'kB'],
] as const

/** A value as it is typed and as the server takes it; the largest unit that says it exactly. */
export function limitText(kind: Limit['kind'], value: LimitValue): string {
  if (typeof value === 'boolean' || kind === 'count' || kind === 'switch') return String(value)
  const units = kind === 'bytes' ? SIZES : TIMES
  const [size, unit] =
    units.find(([each]) => value % each === 0) ?? (kind === 'bytes' ? [1_000, 'kB'] : [1, 'ms'])
  return `${value / size}${unit}`
}
