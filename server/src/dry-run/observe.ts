import { keyOfNames } from '../lint/ast.ts'
import { modeOfCatalog, strongest, type TableLock } from '../lint/locks.ts'
import type { Sql } from '../target/target.ts'

/** What a statement was seen to do in its transaction. */
export interface Observed {
  readonly locks: readonly TableLock[]
  /** Tables whose storage was written anew. */
  readonly rewrites: readonly string[]
  /** Tables that were read from end to end. */
  readonly scans: readonly string[]
  /** How long it took. */
  readonly ms?: number
}

interface Relation {
  readonly name: string
  readonly file: string
  readonly scans: number
}

const RELATIONS = `
  select c.oid::text, n.nspname as schema, c.relname as name, c.relfilenode::text as file,
         coalesce(pg_stat_get_xact_numscans(c.oid), 0)::int as scans
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm', 'v', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`

async function relations(on: Sql): Promise<ReadonlyMap<string, Relation>> {
  const { rows } = await on.query<{ oid: string; schema: string; name: string; file: string; scans: number }>(
    RELATIONS,
  )
  return new Map(
    rows.map(({ oid, schema, name, file, scans }) => [
      oid,
      { name: keyOfNames([schema, name]), file, scans },
    ]),
  )
}

/** Locks on tables that a backend holds, or waits for. */
export async function locksOf(
  on: Sql,
  pid: number,
  names: ReadonlyMap<string, { readonly name: string }>,
): Promise<readonly TableLock[]> {
  const { rows } = await on.query<{ oid: string; mode: string }>(
    `select relation::text as oid, mode from pg_locks where pid = $1 and locktype = 'relation'
     and database = (select oid from pg_database where datname = current_database())`,
    [pid],
  )
  return strongest(
    rows.flatMap(({ oid, mode: text }) => {
      const table = names.get(oid)
      const mode = modeOfCatalog(text)
      return table === undefined || mode === undefined ? [] : [{ mode, on: table.name }]
    }),
  )
}

export const relationNames = relations

/** Runs a statement in the open transaction of this connection, and looks at what it did. */
export async function observe(on: Sql & { readonly pid: number }, text: string): Promise<Observed> {
  const before = await relations(on)
  const held = await locksOf(on, on.pid, before)
  const began = performance.now()
  await on.query(text)
  const ms = performance.now() - began
  const after = await relations(on)
  // As the statement names them: a renamed table by its old name.
  const names = new Map([...after, ...before])
  const known = new Set(held.map(({ mode, on: table }) => `${mode} ${table}`))
  // Our own looks at the catalog lock no table of the application; what was held before is not this statement's.
  const locks = (await locksOf(on, on.pid, names)).filter(
    ({ mode, on: table }) => !known.has(`${mode} ${table}`),
  )
  const changed = [...before].flatMap(([oid, { file, scans }]) => {
    const now = after.get(oid)
    return now === undefined
      ? []
      : [{ name: now.name, rewritten: now.file !== file, read: now.scans > scans }]
  })
  return {
    locks,
    rewrites: changed.filter(({ rewritten }) => rewritten).map(({ name }) => name),
    scans: changed.filter(({ read }) => read).map(({ name }) => name),
    ms,
  }
}
