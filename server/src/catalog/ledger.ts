import type { SqlFile } from '../ddl/ddl-records.ts'
import { inTransaction, type Sql, type Target } from '../target/target.ts'
import { type Catalog, nameOf, type ObjectKind } from './catalog.ts'
import { byName, type CatalogDifference, compareCatalogs } from './compare-catalogs.ts'
import { isTouched, type Touched } from './touched.ts'

/** The schema as it should be and as it is. */
export interface SchemaState {
  /** Undefined where no migration has changed this schema yet. */
  readonly expected: Catalog | undefined
  readonly found: Catalog
  /** What files that have begun and not ended speak of: nobody can say yet how that should be. */
  readonly underWay: readonly Touched[]
}

const EXPECTED = ''
const HOLD_UP_NOBODY: ReadonlySet<ObjectKind> = new Set(['privileges', 'default privileges', 'comment'])

async function load(on: Sql, migration: string, moment: string): Promise<Catalog | undefined> {
  const { rows } = await on.query<{ catalog: Catalog }>(
    'select catalog from switchback.catalogs where migration = $1 and moment = $2',
    [migration, moment],
  )
  return rows[0]?.catalog
}

async function save(
  on: Sql,
  migration: string,
  moment: string,
  catalog: Catalog,
  touches: Touched | undefined,
  keep: boolean,
): Promise<void> {
  const then = keep ? 'do nothing' : 'do update set catalog = excluded.catalog, touches = excluded.touches'
  const stored =
    touches === undefined
      ? null
      : JSON.stringify({ everything: touches.everything, names: [...touches.names] })
  await on.query(
    `insert into switchback.catalogs (migration, moment, catalog, touches) values ($1, $2, $3, $4)
     on conflict (migration, moment) ${then}`,
    [migration, moment, JSON.stringify(catalog), stored],
  )
}

/** Notes the schema as a file finds it; a file that goes on after a crash keeps the note of its first try. */
export async function noteBefore(
  target: Target,
  of: { readonly migration: string; readonly file: SqlFile; readonly begun: boolean },
  now: Catalog,
  touched: Touched,
): Promise<void> {
  await target.connection((connection) =>
    inTransaction(connection, 'begin', async () => {
      await save(connection, EXPECTED, 'expected', now, undefined, true)
      if (of.file === 'expand' && !of.begun) {
        await connection.query('delete from switchback.catalogs where migration = $1', [of.migration])
      }
      await save(connection, of.migration, `before ${of.file}`, now, touched, true)
    }),
  )
}

/**
 * Takes into what is expected what a file has changed. Objects that its statements do not speak of were changed
 * by somebody else at the same time; they stay unexpected.
 */
export async function noteAfter(
  target: Target,
  of: { readonly migration: string; readonly file: SqlFile },
  now: Catalog,
  touched: Touched,
): Promise<void> {
  await target.connection((connection) =>
    inTransaction(connection, 'begin', async () => {
      // One after the other: each changes a part of the same whole.
      await connection.query(`select from switchback.catalogs where migration = '' for update`)
      const before = await load(connection, of.migration, `before ${of.file}`)
      const expected = await load(connection, EXPECTED, 'expected')
      if (before === undefined || expected === undefined) return
      // After a rollback the schema is to be what it was before the expand, whatever rollback.sql has left.
      const aim =
        of.file === 'rollback' ? ((await load(connection, of.migration, 'before expand')) ?? now) : now
      await save(connection, EXPECTED, 'expected', takenOver(expected, aim, touched), undefined, false)
      if (of.file === 'expand') await save(connection, of.migration, 'after expand', now, undefined, false)
      else {
        await connection.query(
          `delete from switchback.catalogs where migration = $1 and ($2 = 'before rollback' or moment = $2)`,
          [of.migration, `before ${of.file}`],
        )
      }
    }),
  )
}

/** `base` with those objects that are touched as they are in `other`. */
function takenOver(base: Catalog, other: Catalog, touched: Touched): Catalog {
  const kept = base.filter((object) => !isTouched(touched, object))
  const taken = other.filter((object) => isTouched(touched, object))
  return [...kept, ...taken]
}

/**
 * What a rollback has not put back as it was before the expand. What was changed by others in between, and
 * touched by neither, is no matter of the rollback.
 */
export async function leftByRollback(
  target: Target,
  migration: string,
  now: Catalog,
  touched: Touched,
): Promise<readonly CatalogDifference[] | undefined> {
  const [beforeExpand, afterExpand, beforeRollback] = await Promise.all([
    load(target, migration, 'before expand'),
    load(target, migration, 'after expand'),
    load(target, migration, 'before rollback'),
  ])
  if (beforeExpand === undefined || beforeRollback === undefined) return undefined
  const [b0, a0, b1, a1] = [
    beforeExpand,
    // An expand that stopped half-way has no end but what the rollback found.
    afterExpand ?? beforeRollback,
    beforeRollback,
    now,
  ].map(byName) as [ByName, ByName, ByName, ByName]
  const isOurs = (name: string): boolean => {
    const object = b0.get(name) ?? a0.get(name) ?? b1.get(name) ?? a1.get(name)
    const same = (one: ByName, other: ByName): boolean =>
      one.get(name)?.definition === other.get(name)?.definition
    return object !== undefined && isTouched(touched, object) && !(same(a0, b0) && same(a1, b1))
  }
  // As it was where it is the same: the place of a column is its place before.
  const others = now
    .filter((object) => !isOurs(nameOf(object)))
    .map((object) => {
      const before = b0.get(nameOf(object))
      return before?.definition === object.definition ? before : object
    })
  return compareCatalogs([...beforeExpand.filter((object) => isOurs(nameOf(object))), ...others], now)
}

type ByName = ReturnType<typeof byName>

/** What is expected of the schema, beside what is there; `found` was just read. */
export async function schemaState(on: Sql, found: Catalog): Promise<SchemaState> {
  const there = await on.query<{ there: boolean }>(
    `select to_regclass('switchback.catalogs') is not null as there`,
  )
  if (there.rows[0]?.there !== true) return { expected: undefined, found, underWay: [] }
  const { rows } = await on.query<{ touches: { everything: boolean; names: readonly string[] } }>(
    `select b.touches from switchback.catalogs b
     where b.moment like 'before %' and b.touches is not null and not exists (
       select from switchback.catalogs a
       where a.migration = b.migration and a.moment = 'after expand' and b.moment = 'before expand')`,
  )
  return {
    expected: await load(on, EXPECTED, 'expected'),
    found,
    underWay: rows.map(({ touches: { everything, names } }) => ({ everything, names: new Set(names) })),
  }
}

/**
 * What is other than the migrations say. Where `scope` is given, what stands in the way of a migration that touches
 * it: a table that somebody has made since is nothing that an applied migration speaks of, and who may read a table, or
 * what is said of it, is no matter of its statements.
 */
export function driftIn(
  { expected, found, underWay }: SchemaState,
  scope?: Touched,
): readonly CatalogDifference[] {
  if (expected === undefined) return []
  const relationOf = ({ schema, relation }: Catalog[number]): string => `${schema}.${relation}`
  const known = new Set(expected.map(relationOf))
  const counts = (object: Catalog[number]): boolean =>
    !underWay.some((touched) => isTouched(touched, object)) &&
    (scope === undefined ||
      (isTouched(scope, object) && known.has(relationOf(object)) && !HOLD_UP_NOBODY.has(object.kind)))
  return compareCatalogs(expected.filter(counts), found.filter(counts))
}

/** Takes the schema as it is for what it should be. */
export const acceptSchema = (on: Sql, now: Catalog): Promise<void> =>
  save(on, EXPECTED, 'expected', now, undefined, false)
