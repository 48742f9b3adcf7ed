import type { Sql, Target } from '../target/target.ts'
import { tablesToSample } from './sampled-table.ts'

const PAGE = 8192
/** Enough to take longer than asking does, and little beside what the target reads anyway. */
const READ_BYTES = 16e6
const TOO_LITTLE_BYTES = 1e6
/** Beyond this the measurement is more likely wrong than the machines so different. */
const LIMIT = 10

/**
 * How much slower the target reads rows than the scratch copy, measured on the largest of these tables; 1 where
 * they are too small to tell.
 */
export async function slowdownOf(
  target: Target,
  scratch: Target,
  tables: ReadonlySet<string>,
): Promise<number> {
  const sizes = await Promise.all(
    (await tablesToSample(scratch, tables)).map(async ({ sql }) => ({
      sql,
      bytes: await bytesOf(scratch, sql),
    })),
  )
  const [largest] = sizes.sort((a, b) => b.bytes - a.bytes)
  if (largest === undefined || largest.bytes < TOO_LITTLE_BYTES) return 1
  const [there, here] = [await rateOf(target, largest.sql), await rateOf(scratch, largest.sql)]
  if (there === undefined || here === undefined) return 1
  return Math.min(LIMIT, Math.max(1 / LIMIT, here / there))
}

async function bytesOf(on: Sql, table: string): Promise<number> {
  const { rows } = await on.query<{ bytes: number }>(
    `select coalesce(sum(pg_relation_size(relid)), 0)::float8 as bytes
     from (select to_regclass($1) as relid union all select relid from pg_partition_tree(to_regclass($1))) t`,
    [table],
  )
  return rows[0]?.bytes ?? 0
}

/** Rows per millisecond, read from whole pages here and there; the better of two, for the first warms up. */
async function rateOf(target: Target, table: string): Promise<number | undefined> {
  const bytes = await bytesOf(target, table)
  const share = Math.min(100, Math.max((100 * READ_BYTES) / bytes, (100 * PAGE) / bytes))
  let best: number | undefined
  try {
    for (let i = 0; i < 2; i++) {
      const began = performance.now()
      const { rows } = await target.query<{ rows: number }>(
        `select count(t.*)::float8 as rows from ${table} t tablesample system (${share})`,
      )
      const rate = (rows[0]?.rows ?? 0) / Math.max(0.1, performance.now() - began)
      if (rate > 0 && (best === undefined || rate > best)) best = rate
    }
  } catch {
    return undefined
  }
  return best
}
