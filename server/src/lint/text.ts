import type { ColumnDef, TypeName } from 'libpg-query'
import { constraintsOf } from './ast.ts'
import { isPlainName, type Statement } from './script.ts'

export interface Span {
  readonly start: number
  readonly end: number
}

/** A name as SQL wants it. */
export const ident = (name: string): string => (isPlainName(name) ? name : `"${name.replaceAll('"', '""')}"`)

export const identifiers = (list: readonly string[]): string => list.map(ident).join(', ')

/** A dotted name, as keys of relations are written. */
export const dotted = (key: string): string => key.split('.').map(ident).join('.')

/** A name for something new, cut where PostgreSQL would cut it: at 63 bytes. */
export function newName(...parts: readonly string[]): string {
  let name = parts.slice(0, -1).join('_')
  const end = `_${parts.at(-1) ?? ''}`
  while (Buffer.byteLength(name + end) > 63) name = [...name].slice(0, -1).join('')
  return name + end
}

/** Statements one below the other, each with its semicolon. */
export const script = (statements: readonly string[]): string =>
  statements.map((text) => `${text};`).join('\n')

/** Replaces parts of a statement; offsets are those of its file. */
export function edited(statement: Statement, edits: readonly (Span & { readonly text: string })[]): string {
  let result = ''
  let at = statement.start
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    result += statement.source.slice(at, edit.start) + edit.text
    at = edit.end
  }
  return result + statement.source.slice(at, statement.end)
}

/** Where the element of a list that begins at an offset ends: before a comma, or the list's parenthesis. */
export function elementEnd(statement: Statement, from: number): number {
  let depth = 0
  let end = from
  for (const token of statement.tokens) {
    if (token.start < from) continue
    if (depth === 0 && (token.text === ',' || token.text === ')' || token.text === ']')) return end
    if (token.text === '(' || token.text === '[') depth += 1
    if (token.text === ')' || token.text === ']') depth -= 1
    end = token.end
  }
  return end
}

/** The texts of an ALTER TABLE's commands, in their order. */
export function commandSpans(statement: Statement): readonly Span[] {
  if (!('AlterTableStmt' in statement.node)) return []
  const { tokens } = statement
  const relation = statement.node.AlterTableStmt.relation?.location ?? -1
  let at = tokens.findIndex((token) => token.start === relation)
  if (at === -1) return []
  at += 1
  while (tokens[at]?.text === '.') at += 2
  if (tokens[at]?.text === '*') at += 1
  // ONLY (name)
  if (tokens[at]?.text === ')') at += 1
  const spans: Span[] = []
  for (let from = tokens[at]?.start; from !== undefined; ) {
    const end = elementEnd(statement, from)
    spans.push({ start: from, end })
    const comma = tokens.findIndex((token) => token.start >= end && token.text === ',')
    from = comma === -1 ? undefined : tokens[comma + 1]?.start
  }
  return spans
}

/** A column's definition in parts: its type and what is said of it, as written. */
export interface ColumnParts {
  readonly type: Span
  /** Collation, storage, compression: what stands between the type and the first constraint. */
  readonly rest: string
  /** Text of each constraint, in the order of the parser's list. */
  readonly constraints: readonly string[]
}

export function columnParts(statement: Statement, column: ColumnDef): ColumnParts {
  const end = elementEnd(statement, column.location ?? statement.start)
  const starts = constraintsOf(column).map(({ location = end }) => location)
  const type = typeSpan(
    statement,
    column.typeName,
    Math.min(end, ...starts, column.collClause?.location ?? end),
  )
  const constraints = starts.map((start) => {
    const next = Math.min(end, ...starts.filter((other) => other > start))
    return statement.source.slice(start, next).trim()
  })
  return { type, rest: statement.source.slice(type.end, Math.min(end, ...starts)).trim(), constraints }
}

/** The words of a type; `before` is where something else begins at the latest. */
export function typeSpan(statement: Statement, type: TypeName | undefined, before: number): Span {
  const start = type?.location ?? before
  const stop = new Set(['collate', 'storage', 'compression', 'options', 'using'])
  let end = start
  let depth = 0
  for (const token of statement.tokens) {
    if (token.start < start) continue
    if (token.start >= before || (depth === 0 && stop.has(token.text.toLowerCase()))) break
    if (token.text === '(') depth += 1
    if (token.text === ')') depth -= 1
    end = token.end
  }
  return { start, end }
}
