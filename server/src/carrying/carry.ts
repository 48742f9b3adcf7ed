import { createHash } from 'node:crypto'
import type { MigrationDefinition, Refusal } from '@switchback/migrations-registry'
import { isThere } from '../comparing/repairs.ts'
import { quoteIdent } from '../db/db.ts'
import type { Carried, CarryWatch } from '../execution/execution-port.ts'
import { copyOf, describeMapping, requireUnique } from '../mapping/mapping.ts'
import { invert, reverseMapping } from '../mapping/reverse-mapping.ts'
import { ExecutionError } from '../target/execution-error.ts'
import { watched } from '../target/in-the-way.ts'
import { type Patience, persistently } from '../target/persistently.ts'
import { type Connection, inTransaction, type Sql, type Target } from '../target/target.ts'
import { type CarrySql, carryFunctions, carrySql } from './carry-sql.ts'

export interface CarryDeps extends Patience {
  readonly target: Target
}

/** Installing waits for writers that are in the middle of a transaction, and others wait behind it: not for long. */
const LOCK_TIMEOUT_MS = 200

const part = (migration: string): string => `carry ${migration}`

/** @throws ExecutionError where triggers could not carry writes back, saying what has to be added */
async function requireCarriable(definition: MigrationDefinition): Promise<void> {
  const copy = copyOf(definition)
  const { byKey, keyRefs } = await invert(copy)
  const lost = [...keyRefs].filter((name) => !byKey.has(name))
  if (lost.length === 0) return
  throw new ExecutionError(
    'work-impossible',
    `the key of copy cannot be inverted by itself: say in copy.reverse how ${lost.map((name) => `"${name}"`).join(' and ')} ` +
      `of ${copy.from} follows from ${copy.to}`,
  )
}

/** Why triggers could not carry writes back, as far as the definition alone shows. */
export async function notCarriable(definition: MigrationDefinition): Promise<Refusal | undefined> {
  if (definition.writes !== 'trigger') return undefined
  try {
    await requireCarriable(definition)
    return undefined
  } catch (error) {
    if (!(error instanceof ExecutionError)) throw error
    return {
      code: 'mapping-not-invertible',
      message: `writes: trigger carries writes back too, but ${error.message}.`,
      action: 'Add copy.reverse, or leave the writing of both paths to the SDK (writes: sdk).',
    }
  }
}

/**
 * Has triggers carry every write of either table to the other, in the transaction that makes it. When this
 * returns, no transaction is left that wrote one of the tables before: `create trigger` waits for them.
 * Repeatable; a trigger that was dropped or changed by somebody is made anew.
 */
export async function startCarrying(
  deps: CarryDeps,
  definition: MigrationDefinition,
  watch: CarryWatch,
): Promise<Carried> {
  await requireCarriable(definition)
  const { target } = deps
  const mapping = await describeMapping(target, definition)
  const { keyRefs } = await invert(mapping.copy)
  // One key of old for one of new, and the unique index orders an insert after a delete of the same key.
  await requireUnique(target, mapping.from, [...keyRefs])
  const { rows } = await target.query<{ schemas: string[] }>(
    'select current_schemas(false)::text[] as schemas',
  )
  const plan = { mapping, reverse: await reverseMapping(mapping), schemas: rows[0]?.schemas ?? [] }
  const sql = await carrySql(plan)
  const text = [...sql.functions, ...sql.triggers.map((trigger) => trigger.sql)].join(';\n')
  const checksum = createHash('sha256').update(text).digest('hex')
  const found = await standing(target, mapping.migration, sql)
  if (found.checksum === checksum && found.whole) return 'there'
  let tables = [mapping.to.table, mapping.from.table]
  const done = await inTurn(deps, watch, mapping.migration, async (connection) => {
    // Who writes new holds it and waits for old, once triggers are there; who writes old, the other way round.
    // Where both are at it one of the two orders would never be had, so they take turns.
    tables = tables.toReversed()
    for (const table of tables) {
      await connection.query(`lock table ${table} in share row exclusive mode`)
    }
    await connection.query(`select pg_advisory_xact_lock(hashtext('switchback install'), 0)`)
    await connection.client.query(text)
    await connection.query(
      `insert into switchback.installed (part, checksum) values ($1, $2)
       on conflict (part) do update set checksum = excluded.checksum`,
      [part(mapping.migration), checksum],
    )
  })
  if (!done) return 'stale'
  return found.checksum === undefined || found.whole ? 'installed' : 'damaged'
}

/** Has nothing carried any more. Repeatable; also where the tables are gone. */
export async function stopCarrying(deps: CarryDeps, migration: string, watch: CarryWatch): Promise<Carried> {
  const names = carryFunctions(migration)
  const { rows: left } = await deps.target.query(
    `select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'switchback' and p.proname = any($1)`,
    [names],
  )
  if (left.length === 0) return 'removed'
  // What is not recorded is not missed: whoever installs them again meanwhile finds nothing damaged.
  const forget = (connection: Connection) =>
    connection.query('delete from switchback.installed where part = $1', [part(migration)])
  const { rows } = await deps.target.query<{ table: string; triggers: string[] }>(
    `select t.tgrelid::regclass::text as "table", array_agg(t.tgname::text order by t.tgname) as triggers
     from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'switchback' and p.proname = any($1) and t.tgparentid = 0 group by t.tgrelid`,
    [names],
  )
  // Table by table: a writer that holds the one waits for the other in its trigger, and would never let go of it
  // as long as both are asked for in one transaction.
  for (const { table, triggers } of rows) {
    const gone = await inTurn(deps, watch, migration, async (connection) => {
      await forget(connection)
      for (const name of triggers) {
        await connection.query(`drop trigger if exists ${quoteIdent(name)} on ${table}`)
      }
    })
    if (!gone) return 'stale'
  }
  const done = await inTurn(deps, watch, migration, async (connection) => {
    await forget(connection)
    for (const name of names) {
      await connection.query(`drop function if exists switchback.${quoteIdent(name)}()`)
    }
  })
  return done ? 'removed' : 'stale'
}

/** Works in a transaction of its own until that goes through; false where a newer epoch has come. */
function inTurn(
  deps: CarryDeps,
  watch: CarryWatch,
  migration: string,
  work: (connection: Connection) => Promise<void>,
): Promise<boolean> {
  return persistently(deps, watch.signal, () =>
    locked(deps, watch, async (connection) => {
      if (!(await isNewest(connection, migration, watch.epoch))) return false
      await work(connection)
      return true
    }),
  )
}

/** Whoever asks late, for an epoch that has passed, is to undo nothing. The row stays locked: a newer epoch is
 *  remembered before its triggers are looked for. */
async function isNewest(on: Connection, migration: string, epoch: number): Promise<boolean> {
  const { rows } = await on.query<{ seen: number }>(
    'select seen from switchback.fences where migration = $1 for update',
    [migration],
  )
  return (rows[0]?.seen ?? 0) <= epoch
}

interface Standing {
  readonly checksum: string | undefined
  /** Every trigger is there, and fires. */
  readonly whole: boolean
}

async function standing(on: Sql, migration: string, sql: CarrySql): Promise<Standing> {
  if (!(await isThere(on, 'switchback.installed'))) return { checksum: undefined, whole: false }
  const recorded = await on.query<{ checksum: string }>(
    'select checksum from switchback.installed where part = $1',
    [part(migration)],
  )
  const { rows } = await on.query<{ there: number }>(
    `select count(*) as there
     from unnest($1::text[], $2::text[]) wanted(name, "table")
       join pg_trigger t on t.tgname = wanted.name and t.tgrelid = to_regclass(wanted."table") and t.tgenabled = 'A'`,
    [sql.triggers.map(({ name }) => name), sql.triggers.map(({ table }) => table)],
  )
  return { checksum: recorded.rows[0]?.checksum, whole: rows[0]?.there === sql.triggers.length }
}

function locked(
  { target }: CarryDeps,
  { signal, tell }: CarryWatch,
  work: (connection: Connection) => Promise<boolean>,
): Promise<boolean> {
  return target.cancellable(signal, async (connection) => {
    await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    return watched(target, connection.pid, tell, () =>
      inTransaction(connection, 'begin', () => work(connection)),
    )
  })
}
