import { fileURLToPath } from 'node:url'
import type { Db } from '@switchback/server'
import { createDb, migrateStore, STORE_SCHEMA } from '@switchback/server'
import { testDatabase } from './test-database.ts'

export interface TestStore {
  readonly db: Db
  readonly url: string
  /** Another pool on the same store, as a second server has; ended with the store. */
  open(): Db
  drop(): Promise<void>
}

const MIGRATIONS = fileURLToPath(new URL('../../server/migrations', import.meta.url))

/** An empty store of one's own, at the schema of this version. */
export async function testStore(): Promise<TestStore> {
  const database = await testDatabase({
    name: 'store',
    fill: async (pool) => {
      const url = pool.options.connectionString
      if (url === undefined) throw new Error('the template has no connection string')
      const db = createDb({ url, name: 'template', schema: STORE_SCHEMA })
      try {
        await migrateStore(db, MIGRATIONS)
      } finally {
        await db.end()
      }
    },
  })
  const dbs: Db[] = []
  const open = (): Db => {
    const db = createDb({ url: database.url, name: 'test', schema: STORE_SCHEMA })
    dbs.push(db)
    return db
  }
  return {
    db: open(),
    url: database.url,
    open,
    drop: async () => {
      await Promise.all(dbs.map((db) => db.end()))
      await database.drop()
    },
  }
}
