import { quoted } from '../ddl/concurrent-ddl.ts'
import type { Sql } from '../target/target.ts'
import { functionDependents } from './function-dependents.ts'
import type { DroppedObject, WhatGoes } from './going.ts'

// Whatever the catalog knows to depend on a table, one of its columns or its row type. `owner` is the table
// or view that the dependent is part of, `generated` the column that is computed from the one that goes.
const DEPENDENTS = `
  select distinct d.classid::regclass::text as class, d.objid, d.deptype, o.owner, o.name,
         coalesce(o.generated, '') as generated,
         case when r.oid is not null then pg_describe_object('pg_class'::regclass, r.ev_class, 0)
              else pg_describe_object(d.classid, d.objid, d.objsubid) end as what
  from pg_depend d
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join lateral (
      select r.ev_class as owner, r.rulename::text as name, null as generated where r.oid is not null
      union all select conrelid, conname, null from pg_constraint
        where d.classid = 'pg_constraint'::regclass and oid = d.objid
      union all select polrelid, polname, null from pg_policy
        where d.classid = 'pg_policy'::regclass and oid = d.objid
      union all select tgrelid, tgname, null from pg_trigger
        where d.classid = 'pg_trigger'::regclass and oid = d.objid
      union all select a.adrelid, null, c.attname from pg_attrdef a
          join pg_attribute c on c.attrelid = a.adrelid and c.attnum = a.adnum
        where d.classid = 'pg_attrdef'::regclass and a.oid = d.objid and c.attgenerated <> ''
      union all select d.objid, null, c.attname from pg_attribute c
        where d.classid = 'pg_class'::regclass and d.objsubid > 0 and c.attrelid = d.objid
          and c.attnum = d.objsubid and c.attgenerated <> ''
      union all select oid, relname, null from pg_class
        where d.classid = 'pg_class'::regclass and d.objsubid = 0 and oid = d.objid
      union all select prrelid, (select pubname from pg_publication p where p.oid = prpubid), null
        from pg_publication_rel where d.classid = 'pg_publication_rel'::regclass and oid = d.objid
      union all select null, proname, null from pg_proc where d.classid = 'pg_proc'::regclass and oid = d.objid
      union all select typrelid, typname, null from pg_type where d.classid = 'pg_type'::regclass and oid = d.objid
    ) o on true
  where (d.refclassid = 'pg_class'::regclass and d.refobjid = $1::oid
         and ($2::text[] is null or d.refobjsubid in (
           select attnum from pg_attribute where attrelid = $1::oid and attname = any($2))))
     or ($2::text[] is null and d.refclassid = 'pg_type'::regclass
         and d.refobjid in (select reltype from pg_class where oid = $1::oid))`

interface Dependent extends Record<string, unknown> {
  readonly class: string
  readonly deptype: string
  readonly owner: number | null
  readonly name: string | null
  readonly generated: string
  readonly what: string
}

/** What depends on what goes and is not dropped by contract.sql itself; each described for a person. */
export async function blockingDependents(
  on: Sql,
  goes: WhatGoes,
  unaffected: readonly string[] = [],
): Promise<readonly string[]> {
  const relations = new Set<number>()
  for (const { kind, name } of goes.objects) {
    const oid = kind === 'relation' ? await oidOf(on, quoted(name)) : undefined
    if (oid !== undefined) relations.add(oid)
  }
  const blocking = new Set<string>()
  for (const { table, whole, columns } of goes.data) {
    const oid = await oidOf(on, quoted(table))
    // Emptied, not dropped: nothing that depends on it is hurt.
    if (oid === undefined || (whole && !relations.has(oid))) continue
    const { rows } = await on.query<Dependent>(DEPENDENTS, [oid, whole ? null : columns])
    for (const dependent of rows) {
      const { owner, deptype, generated, what } = dependent
      const published = dependent.class === 'pg_publication_rel'
      if (!published && owner !== null && (relations.has(owner) || (whole && owner === oid))) continue
      if (columns.includes(generated)) continue
      // Indexes, constraints and defaults of its own go with a column.
      // A publication would silently lose its table.
      if (generated === '' && deptype !== 'n' && dependent.class !== 'pg_publication_rel') continue
      if (await isDropped(on, dependent, goes.objects)) continue
      blocking.add(
        `${what} depends on ${whole ? `table ${table.name}` : `${columns.join(', ')} of ${table.name}`}`,
      )
    }
    for (const index of await sharedIndexes(on, oid, whole ? [] : columns)) {
      if (goes.objects.some(({ name }) => name.name === index.name)) continue
      blocking.add(
        `index ${index.name} covers ${index.others.join(', ')} too, and would go with ${columns.join(', ')} of ${table.name}`,
      )
    }
    const what = whole ? `table ${table.name}` : `${columns.join(', ')} of ${table.name}`
    for (const { bare, full, unsure } of await functionDependents(on, oid, whole ? [] : columns)) {
      const dropped = goes.objects.some(({ kind, name }) => kind === 'function' && name.name === bare)
      if (dropped || unaffected.includes(full)) continue
      blocking.add(
        unsure === undefined
          ? `function ${full} uses ${what} in its body`
          : `function ${full} may use ${what}: ${unsure} (if it does not use it, list it in contract.unaffected)`,
      )
    }
  }
  return [...blocking].sort()
}

/** Indexes that cover columns that go and others that stay: those lose their index, or their uniqueness. */
async function sharedIndexes(
  on: Sql,
  oid: number,
  columns: readonly string[],
): Promise<readonly { readonly name: string; readonly others: readonly string[] }[]> {
  if (columns.length === 0) return []
  const { rows } = await on.query<{ name: string; others: string[] }>(
    `select c.relname as name, array_agg(a.attname::text) filter (where a.attname <> all($2)) as others
     from pg_index i join pg_class c on c.oid = i.indexrelid
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
     where i.indrelid = $1::oid
     group by c.relname, i.indexrelid
     having bool_or(a.attname = any($2)) and bool_or(a.attname <> all($2))`,
    [oid, columns],
  )
  return rows
}

async function isDropped(on: Sql, dependent: Dependent, objects: readonly DroppedObject[]): Promise<boolean> {
  for (const { kind, name, on: table } of objects) {
    if (name.name !== dependent.name) continue
    if (table !== undefined) {
      if ((await oidOf(on, quoted(table))) === dependent.owner) return true
    } else if (
      (kind === 'function' && dependent.class === 'pg_proc') ||
      (kind === 'type' && dependent.class === 'pg_type')
    ) {
      return true
    }
  }
  return false
}

async function oidOf(on: Sql, name: string): Promise<number | undefined> {
  const { rows } = await on.query<{ oid: number | null }>('select to_regclass($1)::oid as oid', [name])
  return rows[0]?.oid ?? undefined
}
