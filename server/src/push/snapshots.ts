import {
  configOf,
  type MigrationConfig,
  type MigrationDefinition,
  type MigrationState,
  type Snapshot,
} from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import { createFresh } from '../db/fresh.ts'

/** Definition and state of a migration, as the store gives them. */
export interface MigrationRow {
  readonly definition: MigrationDefinition
  readonly state: MigrationState
}

export const configOfRow = ({ definition, state }: MigrationRow): MigrationConfig =>
  configOf(definition, state)

/**
 * The newest revision at which anything changed that instances are told of. Revisions that only the audit log
 * knows (a token, say) are passed over: nobody has to fetch anything because of them.
 */
export const CONTENT_REVISION = `coalesce(greatest(
  (select max(revision) from migrations), (select max(revision) from flags), (select max(revision) from removals)), 0)::float8`

/** Everything at one revision; one statement sees one state of the store. */
async function readSnapshot(db: Queryable): Promise<Snapshot> {
  const { rows } = await db.query<{
    revision: number
    migrations: readonly MigrationRow[]
    flags: Snapshot['flags']
  }>(
    `select ${CONTENT_REVISION} as revision,
       (select coalesce(json_agg(json_build_object('definition', definition, 'state', state) order by id), '[]')
        from migrations) as migrations,
       (select coalesce(json_agg(definition order by key), '[]') from flags) as flags`,
  )
  const row = rows[0]
  if (row === undefined) throw new Error('the store gave no snapshot')
  return { revision: row.revision, migrations: row.migrations.map(configOfRow), flags: row.flags }
}

export interface Snapshots {
  /**
   * A snapshot that holds everything committed before the call. However many ask at the same time, the store
   * is asked once whether anything is new, and read only if so.
   */
  fresh(): Promise<Snapshot>
  /** One of this revision or a later one; the store is asked only where none is held. */
  atLeast(revision: number): Promise<Snapshot>
}

export function createSnapshots({ db }: { readonly db: Queryable }): Snapshots {
  let cached: Snapshot | undefined

  async function ask(): Promise<Snapshot> {
    if (cached !== undefined) {
      const { rows } = await db.query<{ revision: number }>(`select ${CONTENT_REVISION} as revision`)
      if (rows[0]?.revision === cached.revision) return cached
    }
    cached = await readSnapshot(db)
    return cached
  }

  const fresh = createFresh(ask)
  return {
    fresh,
    atLeast: (revision) =>
      cached !== undefined && cached.revision >= revision ? Promise.resolve(cached) : fresh(),
  }
}
