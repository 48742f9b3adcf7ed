import { type ApplicationLatency, formatDuration, type Throttle } from '@switchback/migrations-registry'
import { quoteTable } from '../db/db.ts'
import type { WorkOrder } from '../execution/execution-port.ts'
import { messageOf } from '../target/execution-error.ts'
import type { Target } from '../target/target.ts'

/** What is measured elsewhere. */
export interface ThrottlePorts {
  /** Milliseconds; undefined where nothing was measured lately. */
  readonly latencyP99?: (migration: string) => Promise<number | undefined>
  /** What each kind of operation of the application took since then, of the last 10 s. */
  readonly latencies?: (migration: string, since: number) => Promise<readonly ApplicationLatency[]>
}

interface SignalDeps extends ThrottlePorts {
  readonly target: Target
  readonly clock: () => number
}

/** Limits of an order as they are now. */
export const limitsOf = ({ throttle, definition }: WorkOrder): Throttle =>
  throttle?.() ?? definition.copy?.throttle ?? {}

/** Workers ask before every chunk; the target is asked no more often than this. */
const LOOK_MS = 200

const NOT_ASKED_OF_TARGET: ReadonlySet<string> = new Set<keyof Throttle>(['rowsPerSecond', 'latencyFactor'])

/** The same order, held back also by the limits that it is given. */
export function withThrottle(deps: SignalDeps, order: WorkOrder): WorkOrder {
  const { from, to } = order.definition.copy ?? {}
  if (from === undefined || to === undefined) return order
  const read = createSignals(deps, order.definition.id, [from, to])
  let last: Promise<string | undefined> = Promise.resolve(undefined)
  let lookedAt = Number.NEGATIVE_INFINITY
  return {
    ...order,
    heldBackBy: async () => {
      const reason = await order.heldBackBy()
      if (reason !== undefined) return reason
      const limits = limitsOf(order)
      if (Object.keys(limits).every((name) => NOT_ASKED_OF_TARGET.has(name))) return undefined
      if (deps.clock() - lookedAt >= LOOK_MS) {
        lookedAt = deps.clock()
        last = read(limits).catch((error: unknown) => `the target cannot be asked: ${messageOf(error)}`)
      }
      return last
    },
  }
}

interface Reading extends Record<string, unknown> {
  readonly readable: boolean
  readonly role: string
  readonly replicas: number
  readonly lag: number | null
  readonly oldest: number | null
  readonly waiting: number
  readonly vacuumed: string | null
  readonly wal: number
  readonly at: number
}

// Our own sessions neither count as long transactions nor as sessions that wait.
const READ = `
  select pg_has_role(current_user, 'pg_read_all_stats', 'usage') as readable, current_user::text as role,
    (select count(*) from pg_stat_replication) as replicas,
    (select max(extract(epoch from coalesce(replay_lag, interval '0')) * 1000)::float8
     from pg_stat_replication) as lag,
    (select max(extract(epoch from clock_timestamp() - xact_start) * 1000)::float8 from pg_stat_activity
     where datname = current_database() and application_name <> 'switchback'
       and backend_type = 'client backend') as oldest,
    (select count(*) from pg_stat_activity
     where datname = current_database() and application_name <> 'switchback' and wait_event_type = 'Lock') as waiting,
    (select string_agg(relid::regclass::text, ', ') from pg_stat_progress_vacuum
     where datname = current_database() and relid = any(array[to_regclass($1), to_regclass($2)])) as vacuumed,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as wal,
    (extract(epoch from clock_timestamp()) * 1000)::float8 as at`

/** Reads the signals that have a limit; resolves to what is above it, or cannot be read. */
function createSignals({ target, latencyP99 }: SignalDeps, migration: string, tables: readonly string[]) {
  let before: Reading | undefined

  return async (limits: Throttle): Promise<string | undefined> => {
    const { rows } = await target.query<Reading>(READ, tables.map(quoteTable))
    const [now] = rows
    if (now === undefined) return 'the target gave no readings'
    const earlier = before
    before = now
    const ofOthers = ['replicationLag', 'longTransaction', 'lockWaits', 'autovacuum'] as const
    const blind = now.readable ? undefined : ofOthers.find((name) => limits[name] !== undefined)
    if (blind !== undefined) {
      return `${blind} cannot be read: grant pg_read_all_stats to "${now.role}"`
    }
    return (
      aboveInTarget(limits, now) ??
      aboveWalRate(limits, now, earlier) ??
      (await aboveLatency(limits, () => latencyP99?.(migration)))
    )
  }
}

function aboveInTarget(limits: Throttle, now: Reading): string | undefined {
  const { replicationLag, longTransaction, lockWaits, autovacuum } = limits
  if (replicationLag !== undefined) {
    if (now.replicas === 0) return 'replicationLag cannot be read: no replica is connected'
    const lag = now.lag ?? 0
    if (lag > replicationLag) return above('replication lag', lag, replicationLag)
  }
  if (longTransaction !== undefined && (now.oldest ?? 0) > longTransaction) {
    return above('long transaction', now.oldest ?? 0, longTransaction)
  }
  if (lockWaits !== undefined && now.waiting > lockWaits) {
    return `lock waits: ${now.waiting} sessions, above ${lockWaits}`
  }
  return autovacuum === true && now.vacuumed !== null ? `vacuum of ${now.vacuumed}` : undefined
}

function aboveWalRate({ walRate }: Throttle, now: Reading, before: Reading | undefined): string | undefined {
  if (walRate === undefined) return undefined
  if (before === undefined || now.at <= before.at) return 'WAL rate is being measured'
  const rate = ((now.wal - before.wal) * 1000) / (now.at - before.at)
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB/s`
  return rate > walRate ? `WAL rate: ${megabytes(rate)}, above ${megabytes(walRate)}` : undefined
}

async function aboveLatency(
  { latencyP99 }: Throttle,
  measure: () => Promise<number | undefined> | undefined,
): Promise<string | undefined> {
  if (latencyP99 === undefined) return undefined
  try {
    const now = await measure()
    if (now === undefined)
      return 'latencyP99 cannot be read: no measurement of the application has come lately'
    return now > latencyP99 ? above("the application's p99", now, latencyP99) : undefined
  } catch (error) {
    return `latencyP99 cannot be read: ${messageOf(error)}`
  }
}

const above = (what: string, ms: number, limit: number): string =>
  `${what}: ${formatDuration(ms)}, above ${formatDuration(limit)}`
