import type { Node } from 'libpg-query'
import { quoteTable } from '../db/db.ts'
import { keyOfNames, objectNames } from '../lint/ast.ts'
import { holdsUpTraffic, type TableLock } from '../lint/locks.ts'
import { expectedLocks } from '../plan/expected-locks.ts'
import { backendsInTheWay, endHolder, type Holder, holdersNow } from '../target/holders.ts'
import { describeBackend } from '../target/in-the-way.ts'
import type { Sql } from '../target/target.ts'

/** Locks that a statement will ask for; the tables of indexes are looked up. */
export async function locksAskedFor(on: Sql, node: Node): Promise<readonly TableLock[]> {
  const tables = new Map<string, string>()
  if ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_INDEX') {
    for (const object of node.DropStmt.objects ?? []) {
      const index = keyOfNames(objectNames(object))
      const { rows } = await on.query<{ schema: string; name: string }>(
        `select n.nspname as schema, c.relname as name from pg_index i
           join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
         where i.indexrelid = to_regclass($1)`,
        [quoteTable(index)],
      )
      for (const { schema, name } of rows) tables.set(index, keyOfNames([schema, name]))
    }
  }
  return expectedLocks(node, (index) => tables.get(index))
}

export interface Way {
  /** Sessions that will be waited for, the oldest first. */
  readonly inTheWay: readonly Holder[]
  /** Those whose transactions are older than the statement would wait for its lock: to try is in vain. */
  readonly tooOld: readonly Holder[]
}

/**
 * Who holds locks that a statement would have to wait for. A statement that waits for a strong lock keeps
 * everybody behind it waiting too: it had better not queue behind a transaction that will not end in time.
 */
export async function lookFirst(on: Sql, node: Node, lockTimeoutMs: number): Promise<Way> {
  const locks = await locksAskedFor(on, node)
  if (locks.length === 0) return { inTheWay: [], tooOld: [] }
  const strong = locks.some(({ mode }) => holdsUpTraffic(mode))
  const inTheWay = backendsInTheWay(await holdersNow(on), locks)
  return { inTheWay, tooOld: strong ? inTheWay.filter(({ ageMs }) => ageMs > lockTimeoutMs) : [] }
}

/** Transactions that have been open for long: CONCURRENTLY waits for them, whatever they do. */
export async function longTransactions(on: Sql, olderThanMs: number): Promise<readonly string[]> {
  const { rows } = await on.query<Holder & Record<string, unknown>>(
    `select a.pid, coalesce(a.application_name, '') as application, coalesce(a.state, '') as state,
       coalesce(a.query, '') as query, (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::float8 as "ageMs"
     from pg_stat_activity a
     where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
       and a.xact_start < clock_timestamp() - make_interval(secs => $1)
     order by a.xact_start`,
    [olderThanMs / 1000],
  )
  return rows.map(describeBackend)
}

/** Ends the transactions that are older than asked for; returns who they were. */
export async function endOldOnes(
  on: Sql,
  holders: readonly Holder[],
  olderThanMs: number | undefined,
): Promise<readonly string[]> {
  const ended: string[] = []
  if (olderThanMs === undefined) return ended
  for (const holder of holders) {
    if (holder.ageMs > olderThanMs && (await endHolder(on, holder))) ended.push(describeBackend(holder))
  }
  return ended
}
