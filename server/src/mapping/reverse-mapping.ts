import type { CopyMapping } from '@switchback/migrations-registry'
import type { Node } from 'libpg-query'
import { quoteIdent } from '../db/db.ts'
import { columnsIn, expressionOf } from '../sql-text/sql-expression.ts'
import { ExecutionError } from '../target/execution-error.ts'
import type { MappedColumn, Mapping } from './mapping.ts'
import type { Column } from './table-columns.ts'

/** The way from new back to old. */
export interface ReverseMapping {
  /** Columns of old that follow from new, apart from those of the key. */
  readonly columns: readonly MappedColumn[]
  /** Columns of old that its key consists of; for rows that are missing in old. */
  readonly keyColumns: readonly MappedColumn[]
  /** Old holds more than the mapping covers: its rows are never removed. */
  readonly wide: boolean
  /** Columns of old that a new row would lack; empty where missing rows can be inserted. */
  readonly uncovered: readonly string[]
  /** What a column of a wider table is set to when its row is gone in new. */
  readonly emptied: readonly { readonly column: Column; readonly value: string }[]
  /** Columns that cannot be emptied: NOT NULL without a default. */
  readonly stuck: readonly Column[]
}

/** What the mapping says about the way back, before the database is looked at: column of old → SQL over new. */
export interface Inverted {
  readonly byKey: ReadonlyMap<string, string>
  readonly byColumn: ReadonlyMap<string, string>
  /** Columns of old that its key is made of. */
  readonly keyRefs: ReadonlySet<string>
}

/** @throws ExecutionError that names the column which neither follows from new nor stands in `reverse` */
export async function invert(copy: CopyMapping): Promise<Inverted> {
  const byKey = new Map<string, string>()
  const keyRefs = new Set<string>()
  for (const [name, expression] of Object.entries(copy.key)) {
    const { plain, columns } = await columnsIn(expression)
    for (const column of columns) keyRefs.add(column)
    if (plain !== undefined && !byKey.has(plain)) byKey.set(plain, quoteIdent(name))
  }
  const byColumn = new Map<string, string>()
  const needed = new Map<string, string>()
  for (const [name, expression] of Object.entries(copy.columns)) {
    const { plain, columns } = await columnsIn(expression)
    if (plain === undefined) for (const column of columns) needed.set(column, name)
    else if (!byColumn.has(plain)) byColumn.set(plain, quoteIdent(name))
  }
  for (const [name, expression] of Object.entries(copy.reverse ?? {})) {
    ;(keyRefs.has(name) ? byKey : byColumn).set(name, expression)
  }
  for (const [column, name] of needed) {
    if (byKey.has(column) || byColumn.has(column)) continue
    throw new ExecutionError(
      'work-impossible',
      `copy.columns.${name} ("${copy.columns[name]}") cannot be inverted by itself: ` +
        `say in copy.reverse how "${column}" of ${copy.from} follows from ${copy.to}`,
    )
  }
  for (const column of byKey.keys()) byColumn.delete(column)
  return { byKey, byColumn, keyRefs }
}

/** Inverts the mapping; see docs/decisions on what that means for wider tables. */
export async function reverseMapping(mapping: Mapping): Promise<ReverseMapping> {
  const { copy, from } = mapping
  const { byKey, byColumn, keyRefs } = await invert(copy)
  const columnOf = (name: string): Column => {
    const column = from.columns.get(name)
    if (column === undefined) {
      throw new ExecutionError('work-impossible', `${copy.from} has no column "${name}", which copy names`)
    }
    return column
  }
  const mapped = (entries: ReadonlyMap<string, string>): readonly MappedColumn[] =>
    [...entries]
      .map(([name, expression]) => ({ column: columnOf(name), expression }))
      .filter(({ column }) => !column.generated)
  const columns = mapped(byColumn)
  const rest = [...from.columns.values()].filter(
    ({ name, generated }) => !generated && !byKey.has(name) && !byColumn.has(name),
  )
  const keyless = [...keyRefs].filter((name) => !byKey.has(name))
  const empty = await Promise.all(
    columns.map(async ({ column }) => ({ column, value: await emptyOf(column) })),
  )
  return {
    columns,
    keyColumns: mapped(byKey),
    wide: rest.length > 0,
    uncovered: [
      ...new Set([
        ...keyless,
        ...rest.filter((c) => c.notNull && c.default === null && !c.identity).map(({ name }) => name),
      ]),
    ],
    emptied: empty.flatMap(({ column, value }) =>
      value === 'stuck' || value === 'left' ? [] : [{ column, value: value.sql }],
    ),
    stuck: empty.flatMap(({ column, value }) => (value === 'stuck' ? [column] : [])),
  }
}

/** What an emptied column holds. A computed default (`now()`) would differ at every look: it is left alone. */
async function emptyOf(column: Column): Promise<{ sql: string } | 'left' | 'stuck'> {
  if (column.default === null) return column.notNull ? 'stuck' : { sql: 'null' }
  const value = await expressionOf(column.default)
  let node: Node | undefined = value
  while (node !== undefined && 'TypeCast' in node) node = node.TypeCast.arg
  return node !== undefined && 'A_Const' in node ? { sql: column.default } : 'left'
}
