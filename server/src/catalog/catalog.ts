export type ObjectKind =
  | 'schema'
  | 'extension'
  | 'enum'
  | 'composite type'
  | 'domain'
  | 'sequence'
  | 'table'
  | 'column'
  | 'constraint'
  | 'index'
  | 'view'
  | 'materialized view'
  | 'function'
  | 'trigger'
  | 'rule'
  | 'policy'
  | 'statistics'
  | 'publication'
  | 'owner'
  | 'privileges'
  | 'default privileges'
  | 'comment'

/** How a table is made, beyond its columns. */
export interface TableDetail {
  readonly unlogged: boolean
  readonly partitionBy: string | null
  readonly partitionOf: string | null
  readonly bound: string | null
  readonly inherits: readonly string[] | null
  readonly rowSecurity: boolean
}

/** One thing that the schema consists of. */
export interface CatalogObject {
  readonly kind: ObjectKind
  readonly schema: string
  /** The table, view or type that it belongs to, or is. */
  readonly relation: string
  /** Empty where it is the relation itself. */
  readonly name: string
  /** SQL by which PostgreSQL describes it; equal text, equal object. */
  readonly definition: string
  /** Place among the columns of its table. */
  readonly position: number | null
  readonly table: TableDetail | null
}

export type Catalog = readonly CatalogObject[]

/** What is said of another object, whose names it carries. */
export const ATTRIBUTES: ReadonlySet<ObjectKind> = new Set(['owner', 'privileges', 'comment'])

/** `column public.users.bio`, `function public.f(integer)`: how differences name it. */
export function nameOf({ kind, schema, relation, name }: CatalogObject): string {
  if (kind === 'function') return `function ${schema}.${relation}(${name})`
  if (kind === 'default privileges') {
    return `default privileges of ${name}${schema === '' ? '' : ` in ${schema}`}`
  }
  // The name of a function is its arguments, in brackets.
  const named = name.startsWith('(') ? [schema, `${relation}${name}`] : [schema, relation, name]
  const full = named.filter((part) => part !== '').join('.')
  return ATTRIBUTES.has(kind) ? `${kind} of ${full}` : `${kind} ${full}`
}
