import { alteredTable, columnDefIn, commandsOf, constraintIn, keyOf, keyOfNames, names } from './ast.ts'
import type { Statement } from './script.ts'
import { dotted, ident, script } from './text.ts'
import type { World } from './world.ts'

/** SQL that undoes an expand, or undefined where a statement cannot be undone from its text alone. */
export function reverseOf(statements: readonly Statement[], made: World): string | undefined {
  const undone = [...statements].reverse().map((statement) => undo(statement, made))
  const known = undone.filter((part) => part !== undefined)
  return known.length === undone.length ? script(joined(known.flat())) : undefined
}

const ALTER = /^ALTER TABLE (\S+) /

/** Several alters of one table in a row lock it once. */
function joined(statements: readonly string[]): readonly string[] {
  const result: string[] = []
  for (const text of statements) {
    const last = result.at(-1) ?? ''
    const table = ALTER.exec(text)?.[0]
    if (table !== undefined && last.startsWith(table)) {
      result[result.length - 1] = `${last}, ${text.slice(table.length)}`
    } else result.push(text)
  }
  return result
}

function undo({ node }: Statement, made: World): readonly string[] | undefined {
  if ('CreateStmt' in node) return [`DROP TABLE ${dotted(keyOf(node.CreateStmt.relation))}`]
  if ('ViewStmt' in node && node.ViewStmt.replace !== true) {
    return [`DROP VIEW ${dotted(keyOf(node.ViewStmt.view))}`]
  }
  if ('CreateSeqStmt' in node) return [`DROP SEQUENCE ${dotted(keyOf(node.CreateSeqStmt.sequence))}`]
  if ('CreateEnumStmt' in node) {
    return [`DROP TYPE ${dotted(keyOfNames(names(node.CreateEnumStmt.typeName)))}`]
  }
  if ('IndexStmt' in node) {
    const { idxname, relation } = node.IndexStmt
    if (made.tables.has(keyOf(relation))) return []
    if (idxname === undefined || idxname === '') return undefined
    const schema = relation?.schemaname === undefined ? '' : `${ident(relation.schemaname)}.`
    return [`DROP INDEX CONCURRENTLY ${schema}${ident(idxname)}`]
  }
  const range = alteredTable(node)
  if (range === undefined) return undefined
  const table = keyOf(range)
  if (made.tables.has(table)) return []
  const parts = commandsOf(node).map(({ subtype, def }) => {
    const column = columnDefIn(def)
    const constraint = constraintIn(def)?.conname
    if (subtype === 'AT_AddColumn' && column !== undefined)
      return `DROP COLUMN ${ident(column.colname ?? '')}`
    if (subtype === 'AT_AddConstraint' && constraint !== undefined)
      return `DROP CONSTRAINT ${ident(constraint)}`
    return subtype === 'AT_ValidateConstraint' ? '' : undefined
  })
  if (parts.includes(undefined)) return undefined
  const drops = parts.filter((part) => part !== '').reverse()
  return drops.length === 0 ? [] : [`ALTER TABLE ${dotted(table)} ${drops.join(', ')}`]
}
