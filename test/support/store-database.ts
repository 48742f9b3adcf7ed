import { readdirSync, readFileSync } from 'node:fs'
import { type TestDatabase, testDatabase } from './test-database.ts'

const migrations = new URL('../../server/migrations/', import.meta.url)

/** A database with the empty store of Switchback in its schema, `switchback_store`. */
export function storeDatabase(): Promise<TestDatabase> {
  return testDatabase({
    name: 'empty_store',
    fill: async (pool) => {
      const client = await pool.connect()
      try {
        await client.query('create schema switchback_store')
        await client.query('set search_path = switchback_store, public')
        for (const file of readdirSync(migrations).sort()) {
          await client.query(readFileSync(new URL(file, migrations), 'utf8'))
        }
      } finally {
        client.release(true)
      }
    },
  })
}
