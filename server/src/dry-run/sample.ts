import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { quoteIdent } from '../db/db.ts'
import { messageOf } from '../target/execution-error.ts'
import { type Connection, inTransaction, type Sql, type Target } from '../target/target.ts'
import { type ForeignKey, foreignKeysOf, type Reference } from './references.ts'
import { type SampledTable, tablesToSample } from './sampled-table.ts'

/** What a sample may cost the target at most. */
export interface SampleLimits {
  readonly rows: number
  readonly bytesPerTable: number
  /** Of each statement. */
  readonly timeoutMs: number
}

export const SAMPLE_LIMITS: Omit<SampleLimits, 'rows'> = { bytesPerTable: 16e6, timeoutMs: 10_000 }

/** Rows of the target that a scratch copy holds. */
export interface Sample {
  readonly tables: readonly {
    readonly table: string
    readonly rows: number
    /** Rows that the table has, as the planner believes; undefined where all were taken. */
    readonly of?: number
  }[]
  readonly notSampled: readonly { readonly table: string; readonly reason: string }[]
}

/**
 * Fills tables of a scratch copy with rows of the target, read in one snapshot of a read-only transaction, and
 * with the rows that those refer to: what is missing afterwards is missing in the target.
 *
 * @param wanted tables that statements touch, as `keyOf` names them
 * @param references foreign keys that statements would make
 */
export async function copySample(
  target: Target,
  scratch: Target,
  wanted: ReadonlySet<string>,
  references: readonly Reference[],
  limits: SampleLimits,
): Promise<Sample> {
  const notSampled: { table: string; reason: string }[] = []
  const tables = await tablesToSample(scratch, wanted)
  const counts = new Map<string, { rows: number; of?: number }>()
  await scratch.connection((into) =>
    target.connection((from) =>
      inTransaction(from, 'begin isolation level repeatable read read only', async () => {
        await from.query(`set local statement_timeout = ${limits.timeoutMs}`)
        await from.query('set local lock_timeout = 1000')
        // Rows come as they are: nothing of theirs is checked or carried on before the statements run.
        await into.query(`set session_replication_role = replica`)
        const unchecked = await setAside(into)
        const attempt = async (table: SampledTable, work: () => Promise<void>): Promise<void> => {
          await from.query('savepoint sample')
          try {
            await work()
            await from.query('release savepoint sample')
          } catch (error) {
            await from.query('rollback to savepoint sample')
            notSampled.push({ table: table.key, reason: messageOf(error) })
          }
        }
        for (const table of tables) {
          await attempt(table, async () => {
            const taken = await takeSome(from, into, table, limits)
            counts.set(table.key, taken)
          })
        }
        for (const { child, parent, key } of await foreignKeysOf(into, tables, references)) {
          if (!counts.has(child.key)) continue
          await attempt(parent, async () => {
            const rows = await takeReferenced(from, into, child, parent, key)
            const known = counts.get(parent.key) ?? { rows: 0, of: (await sizeOf(from, parent)).rows }
            counts.set(parent.key, { ...known, rows: known.rows + rows })
          })
        }
        for (const statement of unchecked) await into.query(statement)
        await into.query('set session_replication_role = default')
      }),
    ),
  )
  await scratch.query('analyze')
  return { tables: [...counts].map(([table, count]) => ({ table, ...count })), notSampled }
}

/** Takes away the checks that rows which are there need not meet. @returns statements that put them back */
async function setAside(into: Connection): Promise<readonly string[]> {
  const { rows } = await into.query<{ gone: string; back: string }>(
    `select format('alter table %s drop constraint %I', conrelid::regclass, conname) as gone,
            format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as back
     from pg_constraint where contype = 'c' and not convalidated and conrelid <> 0 and conislocal`,
  )
  for (const { gone } of rows) await into.query(gone)
  return rows.map(({ back }) => back)
}

const PAGE = 8192
const FEW_PAGES = 20

const columnList = ({ columns }: SampledTable): string => columns.map(quoteIdent).join(', ')

async function transfer(from: Connection, into: Connection, query: string, table: string, columns: string) {
  // Whole before it is written, which the limits allow: a copy that is refused on one side would leave the other
  // side's unended, and its connection waiting.
  const chunks: Buffer[] = []
  for await (const chunk of from.client.query(copyTo(`copy (${query}) to stdout`)))
    chunks.push(chunk as Buffer)
  const load = into.client.query(copyFrom(`copy ${table} (${columns}) from stdin`))
  await pipeline(Readable.from(chunks), load)
  return load.rowCount
}

/** Whole pages here and there, so that a large table is not read; all of a small one. */
async function takeSome(
  from: Connection,
  into: Connection,
  table: SampledTable,
  limits: SampleLimits,
): Promise<{ readonly rows: number; readonly of?: number }> {
  const { bytes, rows } = await sizeOf(from, table)
  const perRow = rows > 0 ? bytes / rows : 100
  const limit = Math.max(1, Math.min(limits.rows, Math.floor(limits.bytesPerTable / Math.max(1, perRow))))
  const all = bytes / limits.bytesPerTable <= 1 && rows <= limit
  // Somewhat more than wanted, for pages fill unevenly; of few pages by chance none might be taken.
  const wanted = (130 * limit) / Math.max(rows, bytes / perRow, 1)
  const share = all ? 100 : Math.min(100, Math.max(wanted, (100 * FEW_PAGES * PAGE) / bytes))
  const only = table.partitioned ? '' : 'only '
  const taken = await transfer(
    from,
    into,
    `select ${columnList(table)} from ${only}${table.sql} tablesample system (${share}) limit ${limit}`,
    table.sql,
    columnList(table),
  )
  return all && taken < limit ? { rows: taken } : { rows: taken, of: Math.max(rows, taken) }
}

async function sizeOf(
  on: Sql,
  table: SampledTable,
): Promise<{ readonly bytes: number; readonly rows: number }> {
  const { rows } = await on.query<{ bytes: number; rows: number }>(
    `select coalesce(sum(pg_table_size(c.oid)), 0)::float8 as bytes, coalesce(sum(greatest(c.reltuples, 0)), 0)::float8 as rows
     from (select to_regclass($1) as relid union all select relid from pg_partition_tree(to_regclass($1))) t
       join pg_class c on c.oid = t.relid and c.relkind = 'r'`,
    [table.sql],
  )
  return rows[0] ?? { bytes: 0, rows: 0 }
}

/** Those rows of a parent that the sample of a child refers to. */
async function takeReferenced(
  from: Connection,
  into: Connection,
  child: SampledTable,
  parent: SampledTable,
  key: ForeignKey,
): Promise<number> {
  const values = key.from.map((column) => `array_agg(${quoteIdent(column)}::text)`)
  const list = key.from.map(quoteIdent).join(', ')
  const { rows } = await into.query<{ values: (string | null)[][] | null }>(
    `select array_to_json(array[${values.join(', ')}]) as values
     from (select distinct ${list} from ${child.sql} where (${list}) is not null) keys`,
  )
  const arrays = rows[0]?.values ?? []
  if (arrays.length === 0 || arrays[0] == null) return 0
  const literals = arrays.map((array) => `${pg.escapeLiteral(textArray(array))}::text[]`)
  const cast = key.to.map((_, i) => `k${i}::${key.types[i]}`)
  const names = key.to.map((_, i) => `k${i}`)
  const wanted = `(${key.to.map(quoteIdent).join(', ')}) in (select ${cast.join(', ')} from unnest(${literals.join(', ')}) as k(${names.join(', ')}))`
  await into.query(`create temp table referenced (like ${parent.sql})`)
  try {
    const query = `select ${columnList(parent)} from ${parent.sql} where ${wanted}`
    await transfer(from, into, query, 'pg_temp.referenced', columnList(parent))
    const { rowCount } = await into.query(
      `insert into ${parent.sql} (${columnList(parent)}) overriding system value
       select ${columnList(parent)} from pg_temp.referenced on conflict do nothing`,
    )
    return rowCount ?? 0
  } finally {
    await into.query('drop table if exists pg_temp.referenced')
  }
}

const textArray = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? 'null' : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)).join(',')}}`
