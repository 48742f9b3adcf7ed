import type { Path } from '@switchback/migrations-registry'
import { latencyQuantile } from '@switchback/migrations-registry'
import type { Db, Queryable } from '../db/db.ts'
import type { HealthSlot } from './health-slots.ts'

/** What one path did in one step of time. */
export interface PathPoint {
  readonly operations: number
  readonly errorRate: number
  readonly p99Ms?: number
}

export interface HealthPoint {
  /** End of the step. */
  readonly at: number
  readonly epoch: number
  readonly old?: PathPoint
  readonly new?: PathPoint
  readonly compared: number
  readonly mismatches: number
  readonly secondaryFailures: number
}

const ROLLED_MS = 300_000
/** Slots are complete this long after their end, whichever server had them. */
const LATE_MS = 60_000
const SLOTS_KEPT_MS = 4 * 3_600_000
export const HISTORY_KEPT_MS = 14 * 86_400_000

const FIGURES = 'operations, failed, latency, compared, mismatches, secondary_failures'

/** Sums of slots by `groups`, histograms added up bucket by bucket. */
const sumsOf = (from: string, groups: string, more = ''): string => `
  select ${groups}, ${more} sum(operations)::bigint as operations, sum(failed)::bigint as failed,
    sum(compared)::bigint as compared, sum(mismatches)::bigint as mismatches,
    sum(secondary_failures)::bigint as secondary_failures,
    (select coalesce(array_agg(summed.n order by summed.bucket), '{}') from (
       select bucket, sum(count)::bigint as n
       from jsonb_array_elements(jsonb_agg(to_jsonb(latency))) histogram,
         lateral (select ordinality as bucket, value::bigint as count
                  from jsonb_array_elements_text(histogram) with ordinality) counts
       group by bucket) summed) as latency
  from ${from} group by ${groups}`

/** Writes slots of one server as they stand. Migrations that nobody registered are passed over. */
export async function writeSlots(on: Queryable, server: string, slots: readonly HealthSlot[]): Promise<void> {
  await on.query(
    `insert into health_slots (migration, at, server, epoch, path, ${FIGURES})
     select s.migration, to_timestamp(s.at / 1000.0), $1, s.epoch, s.path, s.operations, s.failed, s.latency,
       s.compared, s.mismatches, s."secondaryFailures"
     from jsonb_to_recordset($2::jsonb) as s(migration text, at float8, epoch bigint, path text, operations bigint,
       failed bigint, latency bigint[], compared bigint, mismatches bigint, "secondaryFailures" bigint)
       join migrations m on m.id = s.migration
     on conflict (migration, at, server, epoch, path) do update set operations = excluded.operations,
       failed = excluded.failed, latency = excluded.latency, compared = excluded.compared,
       mismatches = excluded.mismatches, secondary_failures = excluded.secondary_failures`,
    [server, JSON.stringify(slots)],
  )
}

/**
 * Adds up what is complete into steps of five minutes, and removes what has been kept for long enough. The last
 * steps are added up again, in case a slot came late. False where another server is at it.
 */
export const rollUp = (db: Db, now: number): Promise<boolean> =>
  db.tx(async (tx) => {
    const { rows } = await tx.query<{ until: Date }>('select until from health_rolled for update skip locked')
    const [rolled] = rows
    if (rolled === undefined) return false
    const to = new Date(Math.floor((now - LATE_MS) / ROLLED_MS) * ROLLED_MS)
    const from = new Date(rolled.until.getTime() - 2 * ROLLED_MS)
    if (to > rolled.until) {
      const steps = `(select *, to_timestamp(floor(extract(epoch from at) / 300) * 300) as step
        from health_slots where at >= $1 and at < $2) slots`
      await tx.query(
        `insert into health_history (migration, at, epoch, path, ${FIGURES})
         select migration, step, epoch, path, ${FIGURES}
         from (${sumsOf(steps, 'migration, step, path, epoch')}) sums
         on conflict (migration, at, epoch, path) do update set operations = excluded.operations,
           failed = excluded.failed, latency = excluded.latency, compared = excluded.compared,
           mismatches = excluded.mismatches, secondary_failures = excluded.secondary_failures`,
        [from, to],
      )
      await tx.query('update health_rolled set until = $1', [to])
    }
    await tx.query('delete from health_slots where at < $1 and at < (select until from health_rolled)', [
      new Date(now - SLOTS_KEPT_MS),
    ])
    await tx.query('delete from health_history where at < $1', [new Date(now - HISTORY_KEPT_MS)])
    return true
  })

interface Row extends Record<string, unknown> {
  readonly step: Date
  readonly path: Path
  readonly epoch: number
  readonly operations: number
  readonly failed: number
  readonly latency: readonly (number | string)[]
  readonly compared: number
  readonly mismatches: number
  readonly secondary_failures: number
}

/** Oldest first; steps in which nothing was told of are left out. */
export async function healthSince(
  on: Queryable,
  migration: string,
  since: number,
  stepMs: number,
): Promise<readonly HealthPoint[]> {
  const recent = `select at, epoch, path, ${FIGURES} from health_slots where migration = $1 and at >= $2`
  const all =
    stepMs < ROLLED_MS
      ? recent
      : `select at, epoch, path, ${FIGURES} from health_history
           where migration = $1 and at >= $2 and at < (select until from health_rolled)
         union all ${recent} and at >= (select until from health_rolled)`
  const steps = `(select *, to_timestamp(floor(extract(epoch from at) * 1000 / $3) * $3 / 1000.0) as step
    from (${all}) figures) slots`
  const { rows } = await on.query<Row>(
    `${sumsOf(steps, 'step, path', 'max(epoch) as epoch,')} order by step, path`,
    [migration, new Date(since), stepMs],
  )
  const points = new Map<number, HealthPoint>()
  for (const row of rows) {
    const at = row.step.getTime() + stepMs
    const before = points.get(at)
    points.set(at, {
      ...before,
      at,
      epoch: Math.max(before?.epoch ?? 0, row.epoch),
      [row.path]: pathPoint(row),
      compared: (before?.compared ?? 0) + row.compared,
      mismatches: (before?.mismatches ?? 0) + row.mismatches,
      secondaryFailures: (before?.secondaryFailures ?? 0) + row.secondary_failures,
    })
  }
  return [...points.values()]
}

function pathPoint({ operations, failed, latency }: Row): PathPoint {
  const p99Ms = latencyQuantile(latency.map(Number), 0.99)
  return {
    operations,
    errorRate: operations === 0 ? 0 : Math.min(1, failed / operations),
    ...(p99Ms === undefined ? {} : { p99Ms }),
  }
}
