import type { CopyMapping, MigrationDefinition } from '@switchback/migrations-registry'
import { quoteIdent } from '../db/db.ts'
import { ExecutionError } from '../target/execution-error.ts'
import type { Sql } from '../target/target.ts'
import type { Side } from './keyset.ts'
import { type Column, columnsOf, type TableColumns } from './table-columns.ts'

export interface MappedColumn {
  readonly column: Column
  /** Over the other table. */
  readonly expression: string
}

/** The copy mapping of a migration, checked against the catalog of its target. */
export interface Mapping {
  readonly migration: string
  readonly copy: CopyMapping
  readonly from: TableColumns
  readonly to: TableColumns
  /** Rows of old that have a counterpart, and rows of new; their keys compare and sort alike. */
  readonly old: Side
  readonly new: Side
  readonly keyColumns: readonly Column[]
  readonly columns: readonly MappedColumn[]
}

/** Types whose values sort alike and share operators, so that an index serves either. */
const FAMILIES = [new Set(['int2', 'int4', 'int8']), new Set(['text', 'varchar'])]
export const alike = (one: string, other: string): boolean =>
  one === other || FAMILIES.some((family) => family.has(one) && family.has(other))

export function copyOf(definition: MigrationDefinition): CopyMapping {
  if (definition.copy === undefined) {
    throw new ExecutionError('work-impossible', `${definition.id} has no copy mapping`)
  }
  return definition.copy
}

/** @throws ExecutionError that says what the mapping and the database disagree about */
export async function describeMapping(on: Sql, definition: MigrationDefinition): Promise<Mapping> {
  const copy = copyOf(definition)
  const from = await columnsOf(on, copy.from)
  const to = await columnsOf(on, copy.to)
  const columnOf = (name: string): Column => {
    const column = to.columns.get(name)
    if (column === undefined) {
      throw new ExecutionError('work-impossible', `${copy.to} has no column "${name}", which copy names`)
    }
    return column
  }
  const keyNames = Object.keys(copy.key)
  await requireUnique(on, to, keyNames)
  const keys = await Promise.all(
    Object.entries(copy.key).map(([name, expression]) =>
      describeKey(on, { from, to, column: columnOf(name), expression }),
    ),
  )
  return {
    migration: definition.id,
    copy,
    from,
    to,
    keyColumns: keys.map(({ column }) => column),
    old: {
      table: from.table,
      keys: keys.map(({ old }) => old),
      types: keys.map(({ oldType }) => oldType),
      ...(copy.where === undefined ? {} : { where: copy.where }),
    },
    new: {
      table: to.table,
      keys: keys.map((key) => key.new),
      types: keys.map(({ column }) => column.type),
    },
    columns: Object.entries(copy.columns).map(([name, expression]) => ({
      column: columnOf(name),
      expression,
    })),
  }
}

/** The upsert needs it, and without it one key could stand for several rows. */
export async function requireUnique(on: Sql, to: TableColumns, key: readonly string[]): Promise<void> {
  const { rows } = await on.query(
    `select from pg_index i
     where i.indrelid = to_regclass($1) and i.indisunique and i.indimmediate and i.indisvalid
       and i.indpred is null and i.indexprs is null
       and (select array_agg(a.attname::text order by a.attname)
            from unnest(i.indkey::int2[]) with ordinality k(attnum, place)
              join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
            where k.place <= i.indnkeyatts)
         = (select array_agg(name order by name) from unnest($2::text[]::name[]::text[]) name)`,
    [to.table, key],
  )
  if (rows.length > 0) return
  const columns = key.map(quoteIdent).join(', ')
  throw new ExecutionError(
    'work-impossible',
    `${to.name} needs a primary key or unique constraint on exactly (${columns}), the key of copy`,
  )
}

interface KeyInput {
  readonly from: TableColumns
  readonly to: TableColumns
  readonly column: Column
  readonly expression: string
}

async function describeKey(on: Sql, { from, to, column, expression }: KeyInput) {
  // Types and collations are had from an empty table too.
  const one = await typeOf(on, from, expression)
  const other = await typeOf(on, to, quoteIdent(column.name))
  const cast = !alike(one.base, other.base)
  const collated = other.collation !== null && other.collation !== one.collation
  return {
    column,
    // Sorted as the new table sorts, where types differ. An index on old over the same expression helps.
    old: cast ? `((${expression})::${column.type})` : `(${expression})`,
    // Bare `character` would mean one character.
    oldType: cast ? column.type : one.base === 'bpchar' ? 'bpchar' : one.type,
    new:
      collated && !cast && one.collation !== null
        ? `(${quoteIdent(column.name)} collate ${one.collation})`
        : quoteIdent(column.name),
  }
}

export async function typeOf(on: Sql, { table, name }: TableColumns, expression: string) {
  try {
    const sample = `(select 1) one left join (select (${expression}) as value from ${table}) sample on false`
    const { rows } = await on.query<{ type: string; base: string; collatable: boolean }>(
      `select pg_typeof(value)::text as type, b.typname as base, t.typcollation <> 0 as collatable
       from ${sample}
         join pg_type t on t.oid = pg_typeof(value)
         join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)`,
    )
    const [row] = rows
    if (row === undefined) throw new Error('the type is unknown')
    if (!row.collatable) return { ...row, collation: null }
    const collations = await on.query<{ collation: string | null }>(
      `select collation for (value) as collation from ${sample}`,
    )
    return { ...row, collation: collations.rows[0]?.collation ?? null }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ExecutionError('work-impossible', `key "${expression}" over ${name}: ${message}`, {
      cause: error,
    })
  }
}
