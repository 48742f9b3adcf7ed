import type { Load } from '@switchback/migrations-registry'
import type { Sql } from './target.ts'

/** Two looks closer together than this say nothing about a rate. */
const SHORTEST_MS = 200
/** A look that is older than this says nothing about now. */
const LONGEST_MS = 60_000

/** How busy a target is. The rate of transactions is that since the look before. */
export function createLoad(on: Sql, clock: () => number): () => Promise<Load> {
  let before: { readonly at: number; readonly transactions: number } | undefined
  let tps: number | undefined
  return async () => {
    const { rows } = await on.query<{ connections: number; age: number; transactions: number }>(`
      select (select count(*) from pg_stat_activity
              where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
                and backend_type = 'client backend')::int as connections,
             (select coalesce(max(extract(epoch from clock_timestamp() - xact_start)) * 1000, 0) from pg_stat_activity
              where datname = current_database() and pid <> pg_backend_pid()
                and backend_type = 'client backend')::float8 as age,
             (select xact_commit + xact_rollback from pg_stat_database
              where datname = current_database())::float8 as transactions`)
    const [row] = rows
    const now = clock()
    const elapsed = before === undefined ? undefined : now - before.at
    if (elapsed !== undefined && elapsed > LONGEST_MS) tps = undefined
    else if (before !== undefined && elapsed !== undefined && elapsed >= SHORTEST_MS) {
      tps = (((row?.transactions ?? 0) - before.transactions) * 1000) / elapsed
    }
    if (elapsed === undefined || elapsed >= SHORTEST_MS) {
      before = { at: now, transactions: row?.transactions ?? 0 }
    }
    return { connections: row?.connections ?? 0, transactionAgeMs: row?.age ?? 0, tps }
  }
}
