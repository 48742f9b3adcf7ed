import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { createDb, type Db } from '../db/db.ts'
import { migrateStore } from '../db/migrate.ts'
import { STORE_MIGRATIONS, STORE_SCHEMA } from '../db/store-schema.ts'
import { type BundledPostgres, startBundledPostgres } from '../postgres/bundled-postgres.ts'
import type { ServerLog } from './server-log.ts'

export interface OpenStore {
  readonly db: Db
  /** Set where the store is the bundled PostgreSQL. */
  readonly bundled: BundledPostgres | undefined
  close(): Promise<void>
}

/** Opens the store: one's own by `DATABASE_URL`, else the bundled one in the data folder; brings its schema up. */
export async function openStore(config: Config, log: ServerLog): Promise<OpenStore> {
  const bundled =
    config.databaseUrl === undefined
      ? await startBundledPostgres({
          dataDir: join(config.dataDir, 'postgres'),
          log: (message) => log.info({}, message),
        })
      : undefined
  const db = createDb({
    url: config.databaseUrl ?? bundled?.url ?? '',
    name: 'switchback server',
    schema: STORE_SCHEMA,
    max: 20,
    onIdleError: (error) => log.warn({ err: error }, 'a connection to the store broke'),
  })
  const close = async () => {
    await db.end()
    await bundled?.stop()
  }
  try {
    const { applied } = await migrateStore(db, STORE_MIGRATIONS)
    if (applied.length > 0) log.info({ applied }, 'the store was brought to its schema')
  } catch (error) {
    await close()
    throw error
  }
  return { db, bundled, close }
}
