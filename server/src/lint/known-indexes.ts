import type { Constraint, Node } from 'libpg-query'
import { columnDefIn, constraintIn, constraintsOf, keyOf, names } from './ast.ts'

/** CREATE INDEX that begins with the columns. */
export const createsIndex = (node: Node, table: string, columns: readonly string[]): boolean => {
  if (!('IndexStmt' in node) || keyOf(node.IndexStmt.relation) !== table) return false
  const first = (node.IndexStmt.indexParams ?? []).slice(0, columns.length)
  const own = first.map((param) => ('IndexElem' in param ? (param.IndexElem.name ?? '()') : '()'))
  return own.sort().join() === [...columns].sort().join()
}

/** A key of the same CREATE TABLE that begins with the columns. */
export function ownIndex(node: Node, columns: readonly string[]): boolean {
  if (!('CreateStmt' in node)) return false
  return (node.CreateStmt.tableElts ?? []).some((element) => {
    const column = columnDefIn(element)
    const own = constraintIn(element)
    const keys = (constraint: Constraint): boolean =>
      constraint.contype === 'CONSTR_PRIMARY' || constraint.contype === 'CONSTR_UNIQUE'
    if (own !== undefined) {
      const first = names(own.keys).slice(0, columns.length)
      return keys(own) && [...first].sort().join() === [...columns].sort().join()
    }
    if (column === undefined || columns.length !== 1) return false
    return column.colname === columns[0] && constraintsOf(column).some(keys)
  })
}
