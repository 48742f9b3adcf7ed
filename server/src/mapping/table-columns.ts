import { quoteTable } from '../db/db.ts'
import { ExecutionError } from '../target/execution-error.ts'
import type { Sql } from '../target/target.ts'

export interface Column {
  readonly name: string
  /** As in `create table`, with its modifiers. */
  readonly type: string
  /** Without its modifiers: a cast to it cuts nothing off. */
  readonly base: string
  readonly notNull: boolean
  readonly generated: boolean
  readonly identity: boolean
  /** SQL of its default, where it has one. */
  readonly default: string | null
  /** Compared as text: its type has no equality, or one that calls different values equal. */
  readonly asText: boolean
}

export interface TableColumns {
  /** Quoted, for use in SQL. */
  readonly table: string
  readonly name: string
  readonly columns: ReadonlyMap<string, Column>
}

/** Columns of a table. @throws ExecutionError where there is no such table */
export async function columnsOf(on: Sql, table: string): Promise<TableColumns> {
  const { rows } = await on.query<Column & Record<string, unknown>>(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
            format_type(a.atttypid, -1) as base, a.attnotnull as "notNull",
            a.attgenerated <> '' as generated, a.attidentity <> '' as identity,
            case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end as "default",
            e.typcategory in ('G', 'S') or e.typname in ('json', 'xml') as "asText"
     from pg_attribute a
       join pg_type t on t.oid = a.atttypid
       join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
       join pg_type e on e.oid = case when b.typcategory = 'A' then b.typelem else b.oid end
       left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
     order by a.attnum`,
    [quoteTable(table)],
  )
  if (rows.length === 0) {
    throw new ExecutionError('work-impossible', `there is no table ${table} in the target database`)
  }
  return { table: quoteTable(table), name: table, columns: new Map(rows.map((row) => [row.name, row])) }
}

/** SQL that is true where two values of a column's type differ in anything that can be seen. */
export const differs = (column: Column, left: string, right: string): string =>
  column.asText
    ? `(${left})::text collate "C" is distinct from (${right})::text collate "C"`
    : `(${left}) is distinct from (${right})`
