import type { ColumnDef, Constraint, RangeVar } from 'libpg-query'
import { constraintsOf, find, hasDefault } from './ast.ts'
import { type Context, tableText } from './context.ts'
import {
  constraintBody,
  constraintName,
  constraintOnIndex,
  indexFor,
  notValidThenValidate,
  type SafeWay,
} from './safe-constraint.ts'
import { isNumbered, isSmallInteger, lengthCheck, safeType } from './safe-types.ts'
import type { Statement } from './script.ts'
import { columnParts, ident, newName } from './text.ts'
import { volatileCall } from './volatility.ts'

/** The default of a column that is added makes PostgreSQL write every row anew. */
export function rewritingDefault(column: ColumnDef, context: Context): Constraint | undefined {
  const found = find(column, 'CONSTR_DEFAULT')
  if (found === undefined) return undefined
  const rewrites =
    context.version < 11 || volatileCall(found.raw_expr, context.world.steadyFunctions) !== undefined
  return rewrites ? found : undefined
}

/** How to add a column to a table in use. */
export function safeColumn(
  statement: Statement,
  range: RangeVar,
  column: ColumnDef,
  ifNotExists: boolean,
  context: Context,
): SafeWay {
  const name = column.colname ?? ''
  const parts = columnParts(statement, column)
  const numbered = isNumbered(column)
  const type =
    numbered && isSmallInteger(column.typeName)
      ? 'bigint'
      : numbered
        ? statement.source.slice(parts.type.start, parts.type.end).replace(/^bigserial|^serial8/i, 'bigint')
        : (safeType(column.typeName) ?? statement.source.slice(parts.type.start, parts.type.end))
  const before: string[] = []
  const words = [`ADD COLUMN${ifNotExists ? ' IF NOT EXISTS' : ''} ${ident(name)} ${type}`, parts.rest]
  const inline: string[] = []
  const after: string[] = []
  const add = (way: SafeWay): void => {
    inline.push(...(way.inline ?? []))
    after.push(...(way.after ?? []))
  }
  const rewrites = rewritingDefault(column, context)
  const list = constraintsOf(column)
  for (const [i, constraint] of list.entries()) {
    const text = textWithAttributes(list, parts.constraints, i)
    const start = constraint.location ?? statement.start
    const body = constraintBody(statement, { start, end: start + Buffer.byteLength(text) })
    switch (constraint.contype) {
      case 'CONSTR_DEFAULT':
        if (constraint !== rewrites) words.push(text)
        else inline.push(`ALTER COLUMN ${ident(name)} SET ${body}`)
        break
      case 'CONSTR_NOTNULL':
        if (hasDefault(column) && rewrites === undefined) words.push(text)
        break
      case 'CONSTR_CHECK':
        add(notValidThenValidate(range, constraintName(range, constraint, [name]), body))
        break
      case 'CONSTR_UNIQUE':
        add(constraintOnIndex(range, constraint, [name]))
        break
      case 'CONSTR_FOREIGN':
        after.push(...indexFor(range, [name], context))
        if (!hasDefault(column)) words.push(text)
        else {
          const foreign = `FOREIGN KEY (${ident(name)}) ${body}`
          add(notValidThenValidate(range, constraintName(range, constraint, [name]), foreign))
        }
        break
      case 'CONSTR_GENERATED':
        if (context.version >= 18) words.push(text.replace(/\bstored\s*$/i, 'VIRTUAL'))
        break
      case 'CONSTR_NULL':
        words.push(text)
        break
      default:
        // A key cannot hold the nulls of the rows that are there; attributes went with what they belong to.
        break
    }
  }
  if (numbered) {
    const sequence = newName(range.relname ?? '', name, 'seq')
    before.push(`CREATE SEQUENCE ${ident(sequence)}`)
    inline.push(`ALTER COLUMN ${ident(name)} SET DEFAULT nextval('${ident(sequence).replaceAll("'", "''")}')`)
    after.push(`ALTER SEQUENCE ${ident(sequence)} OWNED BY ${tableText(range)}.${ident(name)}`)
  }
  const limit = lengthCheck(column)
  if (limit !== undefined) {
    add(notValidThenValidate(range, newName(range.relname ?? '', name, 'length'), `CHECK (${limit})`))
  }
  return { before, inline: [words.filter((word) => word !== '').join(' '), ...inline], after }
}

/** DEFERRABLE and the like are constraints of their own to the parser. */
function textWithAttributes(list: readonly Constraint[], texts: readonly string[], at: number): string {
  let text = texts[at] ?? ''
  for (let i = at + 1; list[i]?.contype?.startsWith('CONSTR_ATTR') === true; i++) text += ` ${texts[i] ?? ''}`
  return text
}
