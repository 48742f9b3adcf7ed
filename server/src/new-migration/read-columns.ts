import { quoteTable } from '../db/db.ts'
import { loadParser } from '../lint/script.ts'
import { columnsOf } from '../mapping/table-columns.ts'
import { type Connection, inTransaction, type Target } from '../target/target.ts'
import { identifier, type MappedColumn } from './mapped-columns.ts'

/** What the catalog says of a column of the new table: that of the old one which fills it. */
export interface CatalogColumn extends MappedColumn {
  /** As in `create table`. */
  readonly type: string
  readonly notNull: boolean
  readonly default: string | undefined
}

export interface CatalogMapping {
  readonly key: readonly CatalogColumn[]
  readonly columns: readonly CatalogColumn[]
  /** Whether nothing is left in the old table that is not mapped. */
  readonly whole: boolean
}

export type CatalogAnswer =
  | { readonly ok: true; readonly mapping: CatalogMapping }
  | { readonly ok: false; readonly message: string }

interface Asked {
  readonly from: string
  readonly to: string
  /** The primary key of the old table where left out. */
  readonly key: readonly MappedColumn[] | undefined
  /** Every column but the key where left out. */
  readonly columns: readonly MappedColumn[] | undefined
}

const same = (name: string): MappedColumn => ({ column: name, expression: identifier(name), plain: name })

/** Reads in a read-only transaction what the catalog of the target says of a mapping. */
export async function readColumns(target: Target, asked: Asked): Promise<CatalogAnswer> {
  await loadParser()
  return target.connection((on) => inTransaction(on, 'begin read only', () => read(on, asked)))
}

async function read(on: Connection, { from, to, ...given }: Asked): Promise<CatalogAnswer> {
  const no = (message: string): CatalogAnswer => ({ ok: false, message })
  const { rows: there } = await on.query<{ from: string | null; to: string | null }>(
    'select to_regclass($1)::text as "from", to_regclass($2)::text as "to"',
    [quoteTable(from), quoteTable(to)],
  )
  if (there[0]?.from == null) return no(`there is no table ${from} in the target`)
  if (there[0]?.to != null) return no(`there is a table ${to} in the target already`)
  const old = (await columnsOf(on, from)).columns
  const key = given.key ?? (await primaryKey(on, from)).map(same)
  if (key.length === 0) return no(`${from} has no primary key: say --key new_column=old_column`)
  const keyed = new Set(key.map(({ plain }) => plain))
  const columns =
    given.columns ??
    [...old.values()]
      .filter(({ name, generated }) => !generated && !keyed.has(name))
      .map(({ name }) => same(name))
  if (columns.length === 0) return no(`${from} has no columns beside its key: nothing is left to be copied`)
  const missing = [...key, ...columns].find(({ plain }) => plain !== undefined && !old.has(plain))
  if (missing !== undefined) return no(`${from} has no column ${missing.plain}`)
  const typed = await typesOf(on, from, [...key, ...columns])
  const described = typed.map((column): CatalogColumn => {
    const source = column.plain === undefined ? undefined : old.get(column.plain)
    return {
      ...column,
      // A result does not tell of domains; the catalog does.
      type: source?.type ?? column.type,
      notNull: source?.notNull ?? false,
      // A sequence belongs to the old table; values come from there.
      default: source?.default?.includes('nextval(') === true ? undefined : (source?.default ?? undefined),
    }
  })
  const used = new Set(described.map(({ plain }) => plain))
  const whole = [...old.keys()].every((name) => used.has(name))
  return {
    ok: true,
    mapping: { key: described.slice(0, key.length), columns: described.slice(key.length), whole },
  }
}

/** Asked of PostgreSQL itself, which thereby reads the expressions; no row is touched. */
async function typesOf(
  on: Connection,
  from: string,
  columns: readonly MappedColumn[],
): Promise<readonly (MappedColumn & { readonly type: string })[]> {
  const list = columns.map(({ expression }, i) => `(${expression}) as c${i}`).join(', ')
  const { fields } = await on.query(`select ${list} from ${quoteTable(from)} limit 0`)
  const { rows } = await on.query<{ type: string }>(
    `select format_type(id, modifier) as type
     from unnest($1::oid[], $2::int[]) with ordinality as t (id, modifier, place) order by place`,
    [fields.map(({ dataTypeID }) => dataTypeID), fields.map(({ dataTypeModifier }) => dataTypeModifier)],
  )
  return columns.map((column, i) => ({ ...column, type: rows[i]?.type ?? 'text' }))
}

async function primaryKey(on: Connection, table: string): Promise<readonly string[]> {
  const { rows } = await on.query<{ name: string }>(
    `select a.attname as name from pg_index i
       cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = to_regclass($1) and i.indisprimary order by k.place`,
    [quoteTable(table)],
  )
  return rows.map(({ name }) => name)
}
