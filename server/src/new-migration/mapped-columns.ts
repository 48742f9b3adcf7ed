import { loadParser, parseScript } from '../lint/script.ts'

/** A column of the new table, and the SQL expression over the old table that fills it. */
export interface MappedColumn {
  readonly column: string
  readonly expression: string
  /** The column of the old table, where the expression is no more than its name. */
  readonly plain: string | undefined
}

export type ParsedColumns =
  | { readonly ok: true; readonly columns: readonly MappedColumn[] }
  | { readonly ok: false; readonly message: string }

const NAME = /^[A-Za-z_][\w$]*$/

/** Whether a name may stand in SQL as it is; `order` and `createdAt` may not. */
const standsAlone = (name: string): boolean =>
  !/[A-Z]/.test(name) && parseScript('name', `create table ${name} (${name} int)`).ok

/** An identifier as it is written in SQL for a person: in quotes only where it takes them. The parser is loaded. */
export const identifier = (name: string): string => (standsAlone(name) ? name : `"${name}"`)

/** A table name that may carry its schema. */
export const tableName = (name: string): string => name.split('.').map(identifier).join('.')

/** Parses `bio,rating=coalesce(stars, 0)`: names, or names with an expression over the old table. */
export async function parseColumns(text: string): Promise<ParsedColumns> {
  await loadParser()
  const columns: MappedColumn[] = []
  for (const part of splitList(text)) {
    const [, name = '', given] = /^\s*([^=\s]+)\s*(?:=\s*(.*\S))?\s*$/s.exec(part) ?? []
    const no = (message: string): ParsedColumns => ({ ok: false, message })
    if (!NAME.test(name)) return no(`"${part.trim()}" is neither a column name nor name=expression`)
    if (columns.some(({ column }) => column === name)) return no(`the column ${name} is named twice`)
    const source = given ?? name
    const plain = NAME.test(source) ? source : undefined
    const expression = plain === undefined ? source : identifier(source)
    const parsed = parseScript('expression', `select (${expression}) from it`)
    if (!parsed.ok || parsed.script.statements.length !== 1)
      return no(`${source} is not an SQL expression${parsed.ok ? '' : `: ${parsed.problem.message}`}`)
    columns.push({ column: name, expression, plain })
  }
  return columns.length === 0 ? { ok: false, message: 'names no column' } : { ok: true, columns }
}

/** At commas outside of parentheses and quotes. */
function splitList(text: string): readonly string[] {
  const parts = ['']
  let depth = 0
  let quote = ''
  for (const char of text) {
    if (quote !== '') quote = char === quote ? '' : quote
    else if (char === "'" || char === '"') quote = char
    else if ('([{'.includes(char)) depth += 1
    else if (')]}'.includes(char)) depth -= 1
    else if (char === ',' && depth === 0) {
      parts.push('')
      continue
    }
    parts[parts.length - 1] += char
  }
  return parts.filter((part) => part.trim() !== '')
}
