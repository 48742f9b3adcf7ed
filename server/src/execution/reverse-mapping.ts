import { type Node, parse } from 'libpg-query'
import { quoteIdent } from '../db/db.ts'
import { ExecutionError } from './execution-error.ts'
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

/** Inverts the mapping; see docs/decisions on what that means for wider tables. */
export async function reverseMapping(mapping: Mapping): Promise<ReverseMapping> {
  const { copy, from } = mapping
  const reverse = new Map(Object.entries(copy.reverse ?? {}))
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
  for (const [name, expression] of reverse) (keyRefs.has(name) ? byKey : byColumn).set(name, expression)
  for (const [column, name] of needed) {
    if (byKey.has(column) || byColumn.has(column)) continue
    throw new ExecutionError(
      'work-impossible',
      `copy.columns.${name} ("${copy.columns[name]}") cannot be inverted by itself: ` +
        `say in copy.reverse how "${column}" of ${copy.from} follows from ${copy.to}`,
    )
  }
  for (const column of byKey.keys()) byColumn.delete(column)
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

async function expressionOf(expression: string): Promise<Node | undefined> {
  try {
    const { stmts } = await parse(`select (${expression})`)
    const select = stmts?.[0]?.stmt
    const target =
      select !== undefined && 'SelectStmt' in select ? select.SelectStmt.targetList?.[0] : undefined
    return target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined
  } catch (error) {
    throw new ExecutionError('work-impossible', `"${expression}" is no SQL expression`, { cause: error })
  }
}

/** Columns an expression names, folded as PostgreSQL folds them; `plain` where it is nothing but one. */
async function columnsIn(expression: string): Promise<{ plain?: string; columns: readonly string[] }> {
  const node = await expressionOf(expression)
  const columns: string[] = []
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if ('ColumnRef' in value) {
      const name = lastName(value.ColumnRef)
      if (name !== undefined) columns.push(name)
    }
    for (const child of Object.values(value)) walk(child)
  }
  walk(node)
  const plain = node !== undefined && 'ColumnRef' in node ? columns[0] : undefined
  return { columns, ...(plain === undefined ? {} : { plain }) }
}

function lastName(reference: unknown): string | undefined {
  if (typeof reference !== 'object' || reference === null || !('fields' in reference)) return undefined
  const field: unknown = Array.isArray(reference.fields) ? reference.fields.at(-1) : undefined
  if (typeof field !== 'object' || field === null || !('String' in field)) return undefined
  const text = field.String
  return typeof text === 'object' && text !== null && 'sval' in text ? String(text.sval) : undefined
}
