import { BACKEND_COLUMNS, type InTheWay } from '../execution/in-the-way.ts'
import type { Sql, Target } from '../execution/target.ts'
import { keyOfNames } from '../lint/ast.ts'
import { conflictsOf, type LockMode, modeOfCatalog } from '../lint/locks.ts'

/** A table of the target: how big, and how busy. */
export interface TableFacts {
  readonly table: string
  readonly bytes: number
  /** With its indexes. */
  readonly totalBytes: number
  /** As the planner believes. */
  readonly rows: number
  readonly readsPerSecond: number
  readonly writesPerSecond: number
}

interface Sample extends Omit<TableFacts, 'table' | 'readsPerSecond' | 'writesPerSecond'> {
  readonly schema: string
  readonly name: string
  readonly reads: number
  readonly writes: number
}

const SAMPLE = `
  select n.nspname as schema, c.relname as name, pg_table_size(c.oid)::float8 as bytes,
         pg_total_relation_size(c.oid)::float8 as "totalBytes", greatest(c.reltuples, 0)::float8 as rows,
         (coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0))::float8 as reads,
         (coalesce(s.n_tup_ins, 0) + coalesce(s.n_tup_upd, 0) + coalesce(s.n_tup_del, 0))::float8 as writes
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_stat_all_tables s on s.relid = c.oid
  where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`

export interface TrafficSample {
  readonly at: number
  readonly tables: ReadonlyMap<string, Sample>
}

/** Counters as they are now; two samples make a rate. */
export async function sampleTraffic(on: Sql): Promise<TrafficSample> {
  const { rows } = await on.query<Sample & Record<string, unknown>>(SAMPLE)
  return {
    at: performance.now(),
    tables: new Map(rows.map((row) => [keyOfNames([row.schema, row.name]), row])),
  }
}

export function factsBetween(first: TrafficSample, second: TrafficSample): ReadonlyMap<string, TableFacts> {
  const seconds = Math.max(0.001, (second.at - first.at) / 1000)
  return new Map(
    [...second.tables].map(([table, { bytes, totalBytes, rows, reads, writes }]) => {
      const before = first.tables.get(table)
      const rate = (now: number, then: number | undefined): number =>
        Math.round(Math.max(0, now - (then ?? now)) / seconds)
      return [
        table,
        {
          table,
          bytes,
          totalBytes,
          rows,
          readsPerSecond: rate(reads, before?.reads),
          writesPerSecond: rate(writes, before?.writes),
        },
      ]
    }),
  )
}

/** A session that a statement would have to wait for now. */
export interface Holder extends InTheWay {
  readonly table: string
  readonly mode: LockMode
}

/** Locks on tables that sessions hold at this moment. */
export async function holdersNow(target: Target): Promise<readonly Holder[]> {
  const { rows } = await target.query<InTheWay & { schema: string; name: string; held: string }>(
    `select ${BACKEND_COLUMNS}, n.nspname as schema, c.relname as name, l.mode as held
     from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
       join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
       and l.database = (select oid from pg_database where datname = current_database())
       and c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_'
     order by a.xact_start`,
  )
  return rows.flatMap(({ schema, name, held, ...backend }) => {
    const mode = modeOfCatalog(held)
    return mode === undefined ? [] : [{ ...backend, mode, table: keyOfNames([schema, name]) }]
  })
}

export const inTheWayOf = (
  holders: readonly Holder[],
  lock: { readonly mode: LockMode; readonly on: string },
): readonly Holder[] =>
  holders.filter(({ table, mode }) => table === lock.on && conflictsOf(lock.mode).includes(mode))
