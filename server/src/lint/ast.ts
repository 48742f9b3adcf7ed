import type { AlterTableCmd, ColumnDef, Constraint, Node, RangeVar, TypeName } from 'libpg-query'
import { stringsIn } from '../sql-text/sql-statements.ts'

/** A relation as sets know it: without the schema where that is `public`. */
export const keyOf = (range: RangeVar | undefined): string =>
  keyOfNames([range?.schemaname ?? '', range?.relname ?? ''].filter((name) => name !== ''))

export const keyOfNames = (names: readonly string[]): string =>
  (names.length > 1 && names.at(-2) === 'public' ? names.slice(-1) : names).join('.')

/** Commands of an ALTER TABLE. */
export function commandsOf(node: Node): readonly AlterTableCmd[] {
  if (!('AlterTableStmt' in node)) return []
  return (node.AlterTableStmt.cmds ?? []).flatMap((cmd) =>
    'AlterTableCmd' in cmd ? [cmd.AlterTableCmd] : [],
  )
}

/** The table of an ALTER TABLE; other objects are altered by the same node. */
export function alteredTable(node: Node): RangeVar | undefined {
  if (!('AlterTableStmt' in node)) return undefined
  const { objtype, relation } = node.AlterTableStmt
  return objtype === 'OBJECT_TABLE' || objtype === undefined ? relation : undefined
}

export const columnDefIn = (node: Node | undefined): ColumnDef | undefined =>
  node !== undefined && 'ColumnDef' in node ? node.ColumnDef : undefined

export const constraintIn = (node: Node | undefined): Constraint | undefined =>
  node !== undefined && 'Constraint' in node ? node.Constraint : undefined

export const constraintsOf = (column: ColumnDef): readonly Constraint[] =>
  (column.constraints ?? []).flatMap((node) => ('Constraint' in node ? [node.Constraint] : []))

/** Strings in a list of nodes, one each: columns of a constraint. */
export const names = (nodes: readonly Node[] | undefined): readonly string[] =>
  (nodes ?? []).flatMap((node) => stringsIn(node))

/** A name of dotted parts, one per object of a DROP. */
export const objectNames = (node: Node): readonly string[] => stringsIn(node)

/** `int4`, `varchar`, `serial`: without `pg_catalog`, lower-cased by the parser. */
export const typeOf = (type: TypeName | undefined): string => names(type?.names).at(-1) ?? ''

export const isArray = (type: TypeName | undefined): boolean => (type?.arrayBounds ?? []).length > 0

const SERIAL = new Map([
  ['serial', 'integer'],
  ['serial4', 'integer'],
  ['bigserial', 'bigint'],
  ['serial8', 'bigint'],
  ['smallserial', 'smallint'],
  ['serial2', 'smallint'],
])

export const isSerial = (type: TypeName | undefined): boolean => SERIAL.has(typeOf(type))

/** Names of functions that an expression calls, in order. */
export function callsIn(node: unknown): readonly { readonly name: string; readonly at: number }[] {
  if (Array.isArray(node)) return node.flatMap(callsIn)
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => {
    if (key !== 'FuncCall') return callsIn(value)
    const call = value as { funcname?: readonly Node[]; location?: number }
    return [{ name: names(call.funcname).at(-1) ?? '', at: call.location ?? 0 }, ...callsIn(value)]
  })
}

/** Columns that `CHECK (a IS NOT NULL AND b IS NOT NULL)` proves to hold no nulls. */
export function provesNotNull(expression: Node | undefined): readonly string[] {
  if (expression === undefined) return []
  if ('NullTest' in expression) {
    const { arg, nulltesttype } = expression.NullTest
    if (nulltesttype !== 'IS_NOT_NULL' || arg === undefined || !('ColumnRef' in arg)) return []
    return names(arg.ColumnRef.fields).slice(-1)
  }
  if ('BoolExpr' in expression && expression.BoolExpr.boolop === 'AND_EXPR') {
    return (expression.BoolExpr.args ?? []).flatMap((part) => provesNotNull(part))
  }
  return []
}

export const hasDefault = (column: ColumnDef): boolean =>
  constraintsOf(column).some(({ contype }) => contype === 'CONSTR_DEFAULT')

export const find = (column: ColumnDef, contype: Constraint['contype']): Constraint | undefined =>
  constraintsOf(column).find((constraint) => constraint.contype === contype)
