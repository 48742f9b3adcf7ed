import { keyOfNames } from '../lint/ast.ts'
import { conflictsOf, type LockMode, modeOfCatalog, type TableLock } from '../lint/locks.ts'
import { BACKEND_COLUMNS, type InTheWay } from './in-the-way.ts'
import type { Sql } from './target.ts'

/** A session that holds a lock on a table. */
export interface Holder extends InTheWay {
  readonly table: string
  readonly mode: LockMode
  /** What tells its transaction apart from a later one of the same backend. */
  readonly transaction: string
  /** `client backend` for sessions of applications and people. */
  readonly backend: string
}

/** Locks on tables that other sessions hold at this moment, the oldest transaction first. */
export async function holdersNow(on: Sql): Promise<readonly Holder[]> {
  const { rows } = await on.query<Holder & { schema: string; name: string; held: string }>(
    `select ${BACKEND_COLUMNS}, n.nspname as schema, c.relname as name, l.mode as held,
       a.backend_start::text || coalesce(a.xact_start::text, '') as transaction, a.backend_type as backend
     from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
       join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
       and l.database = (select oid from pg_database where datname = current_database())
       and c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_'
     order by a.xact_start`,
  )
  return rows.flatMap(({ schema, name, held, ...holder }) => {
    const mode = modeOfCatalog(held)
    return mode === undefined ? [] : [{ ...holder, mode, table: keyOfNames([schema, name]) }]
  })
}

export const inTheWayOf = (holders: readonly Holder[], lock: TableLock): readonly Holder[] =>
  holders.filter(({ table, mode }) => table === lock.on && conflictsOf(lock.mode).includes(mode))

/** Backends among the holders of conflicting locks, each once. */
export function backendsInTheWay(holders: readonly Holder[], locks: readonly TableLock[]): readonly Holder[] {
  const found = locks.flatMap((lock) => inTheWayOf(holders, lock))
  return [...new Map(found.map((holder) => [holder.pid, holder])).values()]
}

/**
 * Ends what a session does: its statement, or the whole session where it is idle in its transaction and there
 * is no statement to end. Autovacuum is never touched: it gives way by itself, but where it runs against the
 * wraparound of transaction numbers, and then it must not.
 */
export async function endHolder(on: Sql, holder: Holder): Promise<boolean> {
  if (holder.backend !== 'client backend') return false
  const end = holder.state.startsWith('idle') ? 'pg_terminate_backend' : 'pg_cancel_backend'
  const { rows } = await on.query<{ ended: boolean }>(
    `select ${end}(a.pid) as ended from pg_stat_activity a
     where a.pid = $1 and a.backend_type = 'client backend'
       and a.backend_start::text || coalesce(a.xact_start::text, '') = $2`,
    [holder.pid, holder.transaction],
  )
  return rows[0]?.ended === true
}
