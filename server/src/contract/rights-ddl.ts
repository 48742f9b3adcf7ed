import type { Catalog, CatalogObject } from '../catalog/catalog.ts'
import { quoteIdent } from '../db/db.ts'
import type { Going } from './going.ts'

/**
 * SQL that gives a table or its columns back what the catalog says of them besides: owner, privileges, row security,
 * policies, triggers, comments. Repeatable. Roles and functions that are gone by then are passed over with a
 * warning: the rows are worth more.
 */
export function rightsDdl(
  catalog: Catalog,
  { schema, name: table }: { readonly schema: string; readonly name: string },
  { whole, columns }: Going,
): readonly string[] {
  const qualified = `${quoteIdent(schema)}.${quoteIdent(table)}`
  const own = catalog.filter(
    (object) => object.schema === schema && object.relation === table && !object.name.startsWith('('),
  )
  const of = (kind: CatalogObject['kind']): readonly CatalogObject[] =>
    own.filter((object) => object.kind === kind && (whole || columns.includes(object.name)))
  const said = (kind: CatalogObject['kind']): readonly string[] =>
    // One by one: a role that is gone keeps nobody else's privilege away.
    of(kind).flatMap(({ definition }) => definition.split(/; (?=(?:grant|revoke) )/).map(ifPossible))
  if (!whole) return [...said('privileges'), ...said('comment')]
  const secured = own.some((object) => object.table?.rowSecurity === true)
  return [
    ...(secured ? [`alter table ${qualified} enable row level security`] : []),
    ...of('policy').map(({ name, definition }) =>
      ifPossible(
        `drop policy if exists ${quoteIdent(name)} on ${qualified}; create policy ${quoteIdent(name)} on ${qualified} ${definition}`,
      ),
    ),
    ...of('trigger').map(({ name, definition }) =>
      ifPossible(
        `drop trigger if exists ${quoteIdent(name)} on ${qualified}; ${definition}${stateOf(name, definition, qualified)}`,
      ),
    ),
    ...said('owner'),
    ...said('privileges'),
    ...said('comment'),
  ]
}

/** The catalog says at the end of a trigger whether it is on otherwise than as usual. */
function stateOf(name: string, definition: string, table: string): string {
  const states: Readonly<Record<string, string>> = { D: 'disable', R: 'enable replica', A: 'enable always' }
  const state = states[/ \/\* (.) \*\/$/.exec(definition)?.[1] ?? '']
  return state === undefined ? '' : `; alter table ${table} ${state} trigger ${quoteIdent(name)}`
}

/** In a block of its own, so that what it needs may be missing. */
function ifPossible(sql: string): string {
  const text = `'${sql.replaceAll("'", "''")}'`
  return `do $rights$ begin execute ${text}; exception when undefined_object or undefined_function or undefined_table then raise warning 'not brought back: %', sqlerrm; end $rights$`
}
