import type { Node } from 'libpg-query'
import { type SqlStatement, stringsIn } from '../execution/sql-statements.ts'
import type { CatalogObject } from './catalog.ts'

/** Names that statements speak of; `everything` where what they do cannot be told from their text. */
export interface Touched {
  readonly everything: boolean
  /** `schema.name` where a statement says the schema, else `name`. */
  readonly names: ReadonlySet<string>
}

// Lists of names in the nodes of statements, beside the tables and views that every node knows as RangeVar.
const NAME_LISTS = ['objects', 'funcname', 'typeName', 'domainname', 'defnames', 'object', 'typevar'] as const
const NAMES = ['idxname', 'newname', 'conname', 'trigname', 'schemaname', 'extname', 'pubname'] as const

/** What statements touch, by their text. */
export function touchedBy(statements: readonly Pick<SqlStatement, 'node'>[]): Touched {
  const names = new Set<string>()
  let everything = false
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'RangeVar' || key === 'relation') {
        const range = (key === 'RangeVar' || !isNode(inner) ? inner : {}) as {
          readonly schemaname?: string
          readonly relname?: string
        }
        if (range.relname !== undefined) {
          names.add(range.schemaname === undefined ? range.relname : `${range.schemaname}.${range.relname}`)
        }
      }
      visit(inner)
    }
  }
  for (const { node } of statements) {
    if ('DoStmt' in node || 'CallStmt' in node) everything = true
    // A query may call what changes the schema.
    if ('SelectStmt' in node) everything = true
    visit(node)
    for (const name of ownNames(node)) names.add(name)
  }
  return { everything, names }
}

const isNode = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).some((key) => /^[A-Z]/.test(key))

function ownNames(node: Node): readonly string[] {
  const fields = Object.values(node)[0] as Readonly<Record<string, unknown>>
  const lists = NAME_LISTS.flatMap((field) => {
    const value = fields[field]
    const items = Array.isArray(value) ? value : value === undefined ? [] : [value]
    const strings = items.map((item) => stringsIn(item as Node))
    // `objects` holds one name per entry, the others are one name of dotted parts.
    const dotted = field === 'objects' ? strings : [strings.flat()]
    return dotted
      .filter((parts) => parts.length > 0)
      .flatMap((parts) => [parts.join('.'), parts.at(-1) ?? ''])
  })
  const single = NAMES.flatMap((field) => (typeof fields[field] === 'string' ? [fields[field]] : []))
  return [...lists, ...single]
}

/** Whether statements that touch this may have changed the object. */
export function isTouched(touched: Touched, { kind, schema, relation, name }: CatalogObject): boolean {
  if (touched.everything) return true
  const parts = kind === 'function' ? [relation] : [relation, name]
  const named = parts.filter((part) => part !== '')
  if (named.length === 0) return touched.names.has(schema)
  return named.some((part) => touched.names.has(part) || touched.names.has(`${schema}.${part}`))
}
