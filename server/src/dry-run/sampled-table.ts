import { quoteIdent } from '../db/db.ts'
import { keyOfNames } from '../lint/ast.ts'
import type { Sql } from '../target/target.ts'

/** A table whose rows are to be copied. */
export interface SampledTable {
  /** As `keyOf` names it. */
  readonly key: string
  readonly sql: string
  readonly partitioned: boolean
  /** That can be written. */
  readonly columns: readonly string[]
}

const TABLES = `
  select n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned, c.relispartition as part,
         (select array_agg(attname::text order by attnum) from pg_attribute
          where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns,
         array(select p.nspname || '.' || q.relname from pg_partition_ancestors(c.oid) a
               join pg_class q on q.oid = a.relid join pg_namespace p on p.oid = q.relnamespace
               where a.relid <> c.oid) as ancestors
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'switchback')`

interface Row extends Record<string, unknown> {
  readonly schema: string
  readonly name: string
  readonly partitioned: boolean
  readonly part: boolean
  readonly columns: readonly string[] | null
  readonly ancestors: readonly string[]
}

/** Those of the tables that are there; a partition goes with the whole that it is part of. */
export async function tablesToSample(on: Sql, wanted: ReadonlySet<string>): Promise<readonly SampledTable[]> {
  const { rows } = await on.query<Row>(TABLES)
  const all = new Map(rows.map((row) => [keyOfNames([row.schema, row.name]), row]))
  const chosen = new Map<string, SampledTable>()
  for (const key of wanted) {
    const row = all.get(key)
    const root = row?.ancestors.map((name) => all.get(keyOfNames(name.split('.')))).findLast((found) => found)
    const table = root ?? row
    if (table === undefined || (table.columns ?? []).length === 0) continue
    const { schema, name, partitioned, columns } = table
    const rootKey = keyOfNames([schema, name])
    chosen.set(rootKey, {
      key: rootKey,
      sql: `${quoteIdent(schema)}.${quoteIdent(name)}`,
      partitioned,
      columns: columns ?? [],
    })
  }
  return [...chosen.values()]
}
