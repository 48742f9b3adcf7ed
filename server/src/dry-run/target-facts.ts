import { keyOfNames } from '../lint/ast.ts'
import type { Sql } from '../target/target.ts'

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

export const versionOf = async (on: Sql): Promise<string> =>
  (await on.query<{ server_version: string }>('show server_version')).rows[0]?.server_version ?? ''

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
