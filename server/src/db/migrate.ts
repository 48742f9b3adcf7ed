import type { Db, Queryable } from './db.ts'
import { quoteIdent } from './db.ts'
import type { MigrationFile } from './migration-files.ts'
import { readMigrationFiles } from './migration-files.ts'
import { StoreError } from './store-error.ts'
import { STORE_SCHEMA } from './store-schema.ts'

export interface MigratedStore {
  /** Number of the newest file that the store has, also where it comes from a newer server. */
  readonly version: number
  /** Names of the files that were applied now. */
  readonly applied: readonly string[]
}

interface AppliedRow {
  readonly number: number
  readonly name: string
  readonly checksum: string
  readonly breaking: boolean
}

const APPLIED = 'select number, name, checksum, breaking from schema_migrations order by number'

/**
 * Brings the store to the schema of this server, all or nothing, one server at a time. A store that a newer
 * server has changed in a way that this one cannot serve is refused, so that a rollback of the service never
 * works on tables that it misunderstands.
 *
 * @throws StoreError with what is wrong and what to do
 */
export async function migrateStore(
  db: Db,
  folder: string,
  schema: string = STORE_SCHEMA,
): Promise<MigratedStore> {
  const files = await readMigrationFiles(folder)
  return db.tx(async (tx) => {
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`switchback migrate ${schema}`])
    await tx.query(`create schema if not exists ${quoteIdent(schema)}`)
    await tx.query(`set local search_path = ${quoteIdent(schema)}, public`)
    await tx.query(
      `create table if not exists schema_migrations (
         number int primary key, name text not null, checksum text not null, breaking boolean not null,
         applied_at timestamptz not null default clock_timestamp()
       )`,
    )
    const { rows } = await tx.query<AppliedRow>(APPLIED)
    const open = judge(files, rows)
    for (const file of open) await apply(tx, file)
    const version = Math.max(0, ...rows.map((row) => row.number), ...files.map((file) => file.number))
    return { version, applied: open.map((file) => file.name) }
  })
}

/**
 * What `migrateStore` would do, without doing it. Version 0 and every file where there is no store yet.
 *
 * @throws StoreError as `migrateStore` would
 */
export async function inspectStore(
  on: Queryable,
  folder: string,
  schema: string = STORE_SCHEMA,
): Promise<{ readonly version: number; readonly open: readonly string[] }> {
  const files = await readMigrationFiles(folder)
  const table = `${quoteIdent(schema)}.schema_migrations`
  const { rows: there } = await on.query('select 1 where to_regclass($1) is not null', [table])
  const rows =
    there.length === 0
      ? []
      : (await on.query<AppliedRow>(APPLIED.replace('schema_migrations', () => table))).rows
  const open = judge(files, rows).map((file) => file.name)
  return { version: Math.max(0, ...rows.map((row) => row.number)), open }
}

/** Compares what was applied with what is here; returns what is left to apply. */
function judge(files: readonly MigrationFile[], applied: readonly AppliedRow[]): readonly MigrationFile[] {
  const newest = Math.max(0, ...files.map((file) => file.number))
  for (const row of applied) {
    const file = files.find((candidate) => candidate.number === row.number)
    if (file === undefined && row.number < newest) {
      throw new StoreError(
        'migration-missing',
        `the store has ${row.name}, which this server lacks although it is older than ${newest}; the installation is incomplete.`,
      )
    }
    if (file === undefined && row.breaking) {
      throw new StoreError(
        'store-newer',
        `the store was changed by a newer server (${row.name}) in a way that this one cannot serve; start that version or a later one.`,
      )
    }
    if (file !== undefined && file.checksum !== row.checksum) {
      throw new StoreError(
        'migration-changed',
        `${file.name} was applied to the store with another content; files that were applied must never change. Restore it, and add a new file instead.`,
      )
    }
  }
  const last = Math.max(0, ...applied.map((row) => row.number))
  const open = files.filter((file) => !applied.some((row) => row.number === file.number))
  const late = open.find((file) => file.number < last)
  if (late !== undefined) {
    throw new StoreError(
      'migration-out-of-order',
      `${late.name} was never applied, but the store is at ${last} already; give it a number above ${last}.`,
    )
  }
  return open
}

async function apply(tx: Queryable, file: MigrationFile): Promise<void> {
  try {
    await tx.query(file.text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StoreError('migration-failed', `${file.name} could not be applied: ${reason}`, { cause })
  }
  await tx.query('insert into schema_migrations (number, name, checksum, breaking) values ($1, $2, $3, $4)', [
    file.number,
    file.name,
    file.checksum,
    file.breaking,
  ])
}
