import type { MigrationDefinition, MigrationSql, MigrationState } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import { COMPARED } from './comparison-store.ts'
import type { StoredMigration } from './phase-service.ts'

interface Row {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
  readonly source: string
  readonly checksum: string
  readonly state: MigrationState
  readonly revision: number
  readonly compared: boolean
}

const COLUMNS = `definition, sql, source, checksum, state, revision, ${COMPARED} as compared`

export async function listMigrations(on: Queryable): Promise<readonly StoredMigration[]> {
  const { rows } = await on.query<Row>(`select ${COLUMNS} from migrations order by created_at, id`)
  return rows
}

/** All but one; whoever else asks waits until the transaction has ended. */
export async function othersThan(tx: Queryable, id: string): Promise<readonly StoredMigration[]> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('schema work', 2))`)
  return (await listMigrations(tx)).filter(({ definition }) => definition.id !== id)
}

export async function findMigration(on: Queryable, id: string): Promise<StoredMigration | undefined> {
  const { rows } = await on.query<Row>(`select ${COLUMNS} from migrations where id = $1`, [id])
  return rows[0]
}

/** Makes registrations of one id come one after the other. */
export async function claimId(tx: Queryable, id: string): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 1))', [id])
}

/** Reads a migration and keeps others from changing it until the transaction ends. */
export async function lockMigration(tx: Queryable, id: string): Promise<StoredMigration | undefined> {
  const { rows } = await tx.query<Row>(`select ${COLUMNS} from migrations where id = $1 for update`, [id])
  return rows[0]
}

export async function insertMigration(tx: Queryable, migration: StoredMigration, at: number): Promise<void> {
  const { definition, sql, source, checksum, state, revision } = migration
  await tx.query(
    `insert into migrations (id, definition, sql, source, checksum, state, revision, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
     on conflict (id) do update set definition = excluded.definition, sql = excluded.sql, source = excluded.source,
       checksum = excluded.checksum, revision = excluded.revision, updated_at = excluded.updated_at`,
    [definition.id, definition, sql, source, checksum, state, revision, new Date(at)],
  )
  // It may be for another target now.
  await tx.query('delete from comparisons where migration = $1', [definition.id])
  await tx.query(`delete from removals where kind = 'migration' and key = $1`, [definition.id])
}

export async function saveState(
  tx: Queryable,
  id: string,
  state: MigrationState,
  revision: number,
  at: number,
): Promise<void> {
  // A note of a comparison from beyond the present revision is void, since the table has been put back. It would be
  // believed again once the revision has gone past it.
  await tx.query(
    `with void as (
       delete from comparisons c using migrations m
       where m.id = $1 and c.migration = m.id and c.revision > m.revision)
     update migrations set state = $2, revision = $3, updated_at = $4 where id = $1`,
    [id, state, revision, new Date(at)],
  )
}

/** Phases of other migrations, for `dependsOn`. */
export async function phasesOf(
  on: Queryable,
  ids: readonly string[],
): Promise<ReadonlyMap<string, MigrationState['phase']>> {
  if (ids.length === 0) return new Map()
  const { rows } = await on.query<{ id: string; phase: MigrationState['phase'] }>(
    `select id, state ->> 'phase' as phase from migrations where id = any($1)`,
    [ids],
  )
  return new Map(rows.map((row) => [row.id, row.phase]))
}
