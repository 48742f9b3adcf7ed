import { quoteIdent } from '../db/db.ts'
import { type Catalog, type CatalogObject, nameOf } from './catalog.ts'

/** SQL that makes an object of a catalog anew. */
export interface Recreation {
  readonly object: string
  readonly sql: string
}

/** Statements that make a schema anew, empty. In no order that would do: whoever runs them tries again. */
export function recreate(catalog: Catalog): readonly Recreation[] {
  return catalog.flatMap((object) => {
    const sql = sqlFor(object, catalog)
    return sql === undefined ? [] : [{ object: nameOf(object), sql }]
  })
}

function sqlFor(object: CatalogObject, catalog: Catalog): string | undefined {
  const { kind, schema, relation, name, definition } = object
  const qualified = `${quoteIdent(schema)}.${quoteIdent(relation)}`
  switch (kind) {
    case 'schema':
      return `create schema if not exists ${quoteIdent(schema)}`
    case 'extension':
      return `create extension if not exists ${quoteIdent(name)} cascade`
    case 'enum':
      return `create type ${qualified} as enum (${definition})`
    case 'composite type':
      return `create type ${qualified} as (${definition})`
    case 'domain':
      return `create domain ${qualified} as ${definition}`
    case 'sequence':
      // Whose column it belongs to makes no difference to locks, and the table comes after its sequence.
      return `create sequence ${qualified} ${definition.replace(/ owned by .*$/, '')}`
    case 'table':
      return tableSql(object, qualified, catalog)
    case 'column':
      return undefined
    case 'constraint':
      return `alter table ${qualified} add constraint ${quoteIdent(name)} ${definition}`
    case 'index':
      // Of a partitioned table, `only` would leave it invalid until each partition has its own.
      return definition.endsWith(' INVALID') ? undefined : definition.replace(' ON ONLY ', ' ON ')
    case 'view':
      return `create view ${qualified} as ${definition}`
    case 'materialized view':
      return `create materialized view ${qualified} as ${definition.replace(/;\s*$/, '')} with no data`
    case 'policy':
      return `create policy ${quoteIdent(name)} on ${qualified} ${definition}`
    case 'publication':
      return undefined
    default:
      return definition
  }
}

function tableSql(object: CatalogObject, qualified: string, catalog: Catalog): string {
  const { schema, relation, table } = object
  const head = `create ${table?.unlogged === true ? 'unlogged ' : ''}table ${qualified}`
  const by = table?.partitionBy === null || table === null ? '' : ` partition by ${table.partitionBy}`
  const security = table?.rowSecurity === true ? `; alter table ${qualified} enable row level security` : ''
  if (table !== null && table.partitionOf !== null) {
    return `${head} partition of ${table.partitionOf} ${table.bound ?? ''}${by}${security}`
  }
  const columns = catalog
    .filter((column) => column.kind === 'column' && column.schema === schema && column.relation === relation)
    .sort((a, b) => (a.position ?? 0) - (b.position ?? 0))
    .map(({ name, definition }) => `${quoteIdent(name)} ${definition}`)
  const inherits = table?.inherits == null ? '' : ` inherits (${table.inherits.join(', ')})`
  return `${head} (${columns.join(', ')})${inherits}${by}${security}`
}
