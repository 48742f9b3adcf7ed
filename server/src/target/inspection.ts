import type { MigrationDefinition } from '@switchback/migrations-registry'
import { differencesOf, type Pair } from '../comparing/compare.ts'
import { isThere } from '../comparing/repairs.ts'
import { quoteTable } from '../db/db.ts'
import { type Key, keyArray, keyText, type Side } from '../mapping/keyset.ts'
import { describeMapping } from '../mapping/mapping.ts'
import { type Connection, inTransaction, type Sql, type Target } from './target.ts'

/** What was found in a sample of rows. */
export interface SampleCompared {
  readonly compared: number
  /** Keys that differ and do not wait for repair. */
  readonly differing: readonly string[]
}

/** What PostgreSQL says of itself at one moment; undefined where it does not say, with the reason. */
export interface TargetReading {
  /** Sessions that wait for a lock and are at work on the tables. */
  readonly lockWaits: number
  readonly longTransactionMs: number
  /** Undefined where no replica is connected. */
  readonly replicationLagMs: number | undefined
  /** Statements on the tables so far; undefined where pg_stat_statements is not there. */
  readonly statements: { readonly calls: number; readonly ms: number } | undefined
}

/** Looks at a target without changing anything. */
export interface Inspection {
  /** Whether one statement gives one row with the value true. It cannot write, and ends after `timeoutMs`. */
  assert(statement: string, timeoutMs: number): Promise<boolean>
  /** Compares a sample of the rows of old with new; undefined where new is no PostgreSQL. */
  compareSample(definition: MigrationDefinition, rows: number): Promise<SampleCompared | undefined>
  /** @param tables none: the whole database */
  read(tables: readonly string[]): Promise<TargetReading>
}

export const createInspection = (target: Target): Inspection => ({
  assert: (statement, timeoutMs) =>
    readOnly(target, timeoutMs, async ({ client }) => {
      // The extended protocol takes one statement: none can end the transaction and go on behind it.
      const asked = { text: statement, queryMode: 'extended', rowMode: 'array' } as const
      const { rows } = await client.query<unknown[]>(asked)
      return rows.length === 1 && rows[0]?.length === 1 && rows[0][0] === true
    }),
  compareSample: (definition, rows) =>
    definition.copy?.step === undefined
      ? target.connection((connection) => compareSample(connection, definition, rows))
      : Promise.resolve(undefined),
  read: (tables) => readTarget(target, tables),
})

const readOnly = <T>(target: Target, timeoutMs: number, work: (on: Connection) => Promise<T>): Promise<T> =>
  target.connection((connection) =>
    inTransaction(connection, 'begin isolation level read committed read only', async () => {
      await connection.query(`set local statement_timeout = ${Math.ceil(timeoutMs)}`)
      await connection.query(`set local lock_timeout = ${Math.ceil(timeoutMs)}`)
      return await work(connection)
    }),
  )

const SAMPLE_TIMEOUT_MS = 20_000

/** In one snapshot: a write that is under way is in both tables, or in neither. */
function compareSample(
  connection: Connection,
  definition: MigrationDefinition,
  count: number,
): Promise<SampleCompared> {
  const begin = 'begin isolation level repeatable read read only'
  return inTransaction(connection, begin, async () => {
    await connection.query(`set local statement_timeout = ${SAMPLE_TIMEOUT_MS}`)
    const mapping = await describeMapping(connection, definition)
    const pair: Pair = { mapping, leader: 'old' }
    const keys = await sampleKeys(connection, mapping.old, count)
    if (keys.length === 0) return { compared: 0, differing: [] }
    const differences = await differencesOf(connection, pair, keys)
    const differing = differences.map(({ key }) => keyText(key))
    const queued = await waiting(connection, definition.id, differing)
    return { compared: keys.length, differing: differing.filter((key) => !queued.has(key)) }
  })
}

/** Keys of rows here and there in a table. */
export async function sampleKeys(on: Sql, side: Side, count: number): Promise<readonly Key[]> {
  const size = await on.query<{ rows: number }>(
    'select greatest(reltuples, 0)::float8 as rows from pg_class where oid = to_regclass($1)',
    [side.table],
  )
  const rows = size.rows[0]?.rows ?? 0
  // Whole pages are read, so a large table is not scanned; somewhat more than wanted, for they fill unevenly.
  const share = rows <= 10 * count ? 100 : Math.min(100, (300 * count) / rows)
  const { rows: found } = await on.query<{ key: Key }>(
    `select ${keyArray(side.keys)} as key from ${side.table} tablesample system (${share})
     where ${side.where === undefined ? 'true' : `(${side.where})`} order by random() limit ${count}`,
  )
  return found.map(({ key }) => key)
}

/** Those of the keys that wait for repair: that they differ is known. */
export async function waiting(
  on: Sql,
  migration: string,
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  if (keys.length === 0 || !(await isThere(on, 'switchback.repairs'))) return new Set()
  const { rows } = await on.query<{ key: string }>(
    'select key from switchback.repairs where migration = $1 and key = any($2)',
    [migration, keys],
  )
  return new Set(rows.map(({ key }) => key))
}

const READ = `
  with tables as (select to_regclass(name) as oid from unnest($1::text[]) as names (name))
  select
    (select count(*) from pg_stat_activity a
     where a.datname = current_database() and a.wait_event_type = 'Lock'
       and (cardinality($1) = 0 or exists (
         select from pg_locks l where l.pid = a.pid and l.relation in (select oid from tables)))) as "lockWaits",
    coalesce((select max(extract(epoch from clock_timestamp() - xact_start) * 1000)::float8 from pg_stat_activity
     where datname = current_database() and application_name <> 'switchback'
       and backend_type = 'client backend'), 0) as "longTransactionMs",
    (select max(extract(epoch from coalesce(replay_lag, interval '0')) * 1000)::float8
     from pg_stat_replication) as "replicationLagMs",
    to_regclass('pg_stat_statements') is not null as "hasStatements"`

const STATEMENTS = `
  select coalesce(sum(calls), 0)::float8 as calls, coalesce(sum(total_exec_time), 0)::float8 as ms
  from pg_stat_statements
  where dbid = (select oid from pg_database where datname = current_database())
    and ($1 = '' or query ~* $1)`

const READ_TIMEOUT_MS = 3000

function readTarget(target: Target, tables: readonly string[]): Promise<TargetReading> {
  return readOnly(target, READ_TIMEOUT_MS, async (on) => {
    const { rows } = await on.query<{
      lockWaits: number
      longTransactionMs: number
      replicationLagMs: number | null
      hasStatements: boolean
    }>(READ, [tables.map(quoteTable)])
    const [row] = rows
    if (row === undefined) throw new Error('the target gave no reading')
    const { hasStatements, replicationLagMs, ...rest } = row
    return {
      ...rest,
      replicationLagMs: replicationLagMs ?? undefined,
      statements: hasStatements ? await readStatements(on, tables) : undefined,
    }
  })
}

async function readStatements(on: Connection, tables: readonly string[]) {
  // As words: a statement names a table with its schema or without, quoted or not.
  const names = tables.map((table) => (table.split('.').at(-1) ?? table).replace(/[^\w]/g, '.'))
  const { rows } = await on.query<{ calls: number; ms: number }>(STATEMENTS, [
    names.length === 0 ? '' : `\\m(${names.join('|')})\\M`,
  ])
  return rows[0]
}
