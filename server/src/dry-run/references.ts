import type { Constraint, Node } from 'libpg-query'
import {
  alteredTable,
  columnDefIn,
  commandsOf,
  constraintIn,
  constraintsOf,
  keyOf,
  keyOfNames,
  names,
} from '../lint/ast.ts'
import type { Sql } from '../target/target.ts'
import { type SampledTable, tablesToSample } from './sampled-table.ts'

/** A foreign key that a statement would make, on tables that are there. */
export interface Reference {
  readonly child: string
  readonly from: readonly string[]
  readonly parent: string
  /** Empty: the primary key. */
  readonly to: readonly string[]
}

export interface ForeignKey {
  readonly from: readonly string[]
  readonly to: readonly string[]
  /** Of the columns that are referred to. */
  readonly types: readonly string[]
}

/** Foreign keys that an ALTER TABLE adds to columns that are there. */
export function referencesIn(node: Node): readonly Reference[] {
  const table = alteredTable(node)
  if (table === undefined) return []
  return commandsOf(node).flatMap(({ def }) => {
    const constraint = constraintIn(def)
    const column = columnDefIn(def)
    const own = constraint === undefined ? [] : [{ constraint, from: names(constraint.fk_attrs) }]
    const inColumn =
      column === undefined
        ? []
        : constraintsOf(column).map((each) => ({ constraint: each, from: [column.colname ?? ''] }))
    return [...own, ...inColumn].flatMap(({ constraint: each, from }) =>
      referenceOf(keyOf(table), each, from),
    )
  })
}

const referenceOf = (child: string, { contype, pktable, pk_attrs }: Constraint, from: readonly string[]) =>
  contype === 'CONSTR_FOREIGN' ? [{ child, from, parent: keyOf(pktable), to: names(pk_attrs) }] : []

const EXISTING = `
  select array[cn.nspname, c.relname]::text[] as child, array[pn.nspname, p.relname]::text[] as parent,
    (select array_agg(a.attname::text order by o) from unnest(conkey) with ordinality k(n, o)
       join pg_attribute a on a.attrelid = conrelid and a.attnum = k.n) as "from",
    (select array_agg(a.attname::text order by o) from unnest(confkey) with ordinality k(n, o)
       join pg_attribute a on a.attrelid = confrelid and a.attnum = k.n) as "to"
  from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace cn on cn.oid = c.relnamespace
    join pg_class p on p.oid = f.confrelid join pg_namespace pn on pn.oid = p.relnamespace
  where f.contype = 'f' and f.conparentid = 0`

const PRIMARY = `
  select array_agg(a.attname::text order by o) as "to" from pg_constraint c, unnest(conkey) with ordinality k(n, o)
    join pg_attribute a on a.attrelid = $1::regclass and a.attnum = k.n
  where conrelid = $1::regclass and contype = 'p'`

const TYPES = `
  select array_agg(format_type(a.atttypid, a.atttypmod) order by o) as types
  from unnest($2::text[]) with ordinality k(name, o) join pg_attribute a on a.attrelid = $1::regclass and a.attname = k.name`

interface Existing extends Record<string, unknown> {
  readonly child: readonly string[]
  readonly parent: readonly string[]
  readonly from: readonly string[]
  readonly to: readonly string[]
}

/** Foreign keys of the sampled tables, those that are there and those that statements would make. */
export async function foreignKeysOf(on: Sql, sampled: readonly SampledTable[], made: readonly Reference[]) {
  const { rows } = await on.query<Existing>(EXISTING)
  const there = rows.map(
    ({ child, parent, from, to }): Reference => ({
      child: keyOfNames(child),
      parent: keyOfNames(parent),
      from,
      to,
    }),
  )
  const found: { child: SampledTable; parent: SampledTable; key: ForeignKey }[] = []
  for (const reference of [...there, ...made]) {
    const child = sampled.find(({ key }) => key === reference.child)
    const [parent] = await tablesToSample(on, new Set([reference.parent]))
    if (child === undefined || parent === undefined) continue
    if (reference.from.some((column) => !child.columns.includes(column))) continue
    const to = reference.to.length > 0 ? reference.to : await columnsOf(on, PRIMARY, 'to', [parent.sql])
    const types = await columnsOf(on, TYPES, 'types', [parent.sql, to])
    if (to.length !== reference.from.length || types.length !== to.length) continue
    found.push({ child, parent, key: { from: reference.from, to, types } })
  }
  return found
}

async function columnsOf(
  on: Sql,
  text: string,
  field: 'to' | 'types',
  params: readonly unknown[],
): Promise<readonly string[]> {
  const { rows } = await on.query<Record<string, readonly string[] | null>>(text, params)
  return rows[0]?.[field] ?? []
}
