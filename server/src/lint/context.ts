import type { AlterTableCmd, ColumnDef, Node, RangeVar } from 'libpg-query'
import { alteredTable, columnDefIn, commandsOf, keyOf } from './ast.ts'
import type { DefinitionUse } from './definition-use.ts'
import type { Statement } from './script.ts'
import { commandSpans, ident, type Span } from './text.ts'
import type { World } from './world.ts'

/** Which file of a migration a statement stands in; a loose file is judged as an expand. */
export type Part = 'expand' | 'rollback' | 'contract'

/** BEGIN … COMMIT as written in the file; without it every statement is run in a transaction of its own. */
export interface OpenTransaction {
  readonly since: Statement
  /** The first statement that took ACCESS EXCLUSIVE on a table in use. */
  readonly exclusive?: { readonly statement: Statement; readonly on: string }
  /** `table.constraint` added NOT VALID. */
  readonly added: ReadonlySet<string>
}

/** What is known when a statement is reached. */
export interface Context {
  /** Major version of the target. */
  readonly version: number
  readonly part: Part
  /** What the definition says; a loose file has none. */
  readonly use?: DefinitionUse
  /** Made by the statements before; in a rollback also what the expand made, which nobody uses yet. */
  readonly world: World
  /** What the expand of this migration made; empty for a loose file. */
  readonly made: World
  readonly before: readonly Statement[]
  readonly statements: readonly Statement[]
  readonly transaction?: OpenTransaction
  /** Whether `rollback.sql` is there; absent for a loose file. */
  readonly hasRollback?: boolean
}

export const isNew = (context: Context, range: RangeVar | undefined): boolean =>
  range?.relpersistence === 't' || context.world.tables.has(keyOf(range))

/** A table as messages and fixes name it. */
export const tableText = (range: RangeVar | undefined): string =>
  [range?.schemaname ?? '', range?.relname ?? '']
    .filter((name) => name !== '')
    .map(ident)
    .join('.')

/** A column that a statement defines. */
export interface DefinedColumn {
  readonly column: ColumnDef
  readonly range: RangeVar | undefined
  /** The table is in use already. */
  readonly inUse: boolean
}

/** Columns of a CREATE TABLE and of every ADD COLUMN. */
export function definedColumns(node: Node, context: Context): readonly DefinedColumn[] {
  if ('CreateStmt' in node) {
    const { relation: range, tableElts = [] } = node.CreateStmt
    return tableElts.flatMap((element) => {
      const column = columnDefIn(element)
      return column === undefined ? [] : [{ column, range, inUse: false }]
    })
  }
  return alterations(node, context).flatMap(({ command, range, inUse }) => {
    const column = command.subtype === 'AT_AddColumn' ? columnDefIn(command.def) : undefined
    return column === undefined ? [] : [{ column, range, inUse }]
  })
}

interface Alteration {
  readonly command: AlterTableCmd
  readonly range: RangeVar
  readonly table: string
  readonly inUse: boolean
}

/** Commands of an ALTER TABLE with their table. */
export function alterations(node: Node, context: Context): readonly Alteration[] {
  const range = alteredTable(node)
  if (range === undefined) return []
  const inUse = !isNew(context, range)
  return commandsOf(node).map((command) => ({ command, range, table: tableText(range), inUse }))
}

/** Commands on a table in use, with the text of each. */
export function alterationsInUse(
  statement: Statement,
  context: Context,
): readonly (Alteration & { readonly span: Span })[] {
  const spans = commandSpans(statement)
  return alterations(statement.node, context).flatMap((alteration, i) =>
    alteration.inUse
      ? [{ ...alteration, span: spans[i] ?? { start: statement.start, end: statement.end } }]
      : [],
  )
}
