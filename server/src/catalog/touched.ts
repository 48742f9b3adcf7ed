import type { Node } from 'libpg-query'
import { type SqlStatement, stringsIn } from '../sql-text/sql-statements.ts'
import type { CatalogObject } from './catalog.ts'

/** Names that statements speak of; `everything` where what they do cannot be told from their text. */
export interface Touched {
  readonly everything: boolean
  /** `schema.name` where a statement says the schema, else `name`. */
  readonly names: ReadonlySet<string>
}

// Lists of names in the nodes of statements, beside tables and views.
const NAME_LISTS = ['objects', 'funcname', 'typeName', 'domainname', 'defnames', 'object'] as const
const NAMES = [
  'idxname',
  'newname',
  'conname',
  'trigname',
  'schemaname',
  'extname',
  'pubname',
  'policy_name',
] as const

// No name of an object: it has a space in it.
const DEFAULT_PRIVILEGES = 'default privileges'

/** What statements touch, by their text. */
export function touchedBy(statements: readonly Pick<SqlStatement, 'node'>[]): Touched {
  const names = new Set<string>()
  let everything = false
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    // A table or view, whatever the field is called that holds it.
    const { relname, schemaname } = value as { readonly relname?: string; readonly schemaname?: string }
    if (typeof relname === 'string') {
      names.add(schemaname === undefined ? relname : `${schemaname}.${relname}`)
    }
    for (const inner of Object.values(value)) visit(inner)
  }
  for (const { node } of statements) {
    if ('DoStmt' in node || 'CallStmt' in node) everything = true
    if ('AlterDefaultPrivilegesStmt' in node) names.add(DEFAULT_PRIVILEGES)
    // A query may call what changes the schema.
    if ('SelectStmt' in node) everything = true
    visit(node)
    for (const name of ownNames(node)) names.add(name)
  }
  return { everything, names }
}

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
  if (kind === 'default privileges') return touched.names.has(DEFAULT_PRIVILEGES)
  // GRANT … ON ALL TABLES IN SCHEMA names the schema alone.
  if (kind === 'privileges' && touched.names.has(schema)) return true
  // The name of a comment may begin with what it is about.
  const parts =
    kind === 'function' ? [relation] : [relation, ...(kind === 'comment' ? name.split(' ') : [name])]
  const named = parts.filter((part) => part !== '')
  if (named.length === 0) return touched.names.has(schema)
  return named.some((part) => touched.names.has(part) || touched.names.has(`${schema}.${part}`))
}
