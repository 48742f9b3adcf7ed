import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBundledPostgres } from '@switchback/server'
import pg from 'pg'

/** A PostgreSQL of one's own with a store and a target, for scripts. */
export async function openDatabases() {
  const folder = await mkdtemp(join(tmpdir(), 'switchback-console-'))
  const postgres = await startBundledPostgres({
    dataDir: join(folder, 'pg'),
    settings: { max_connections: '150', track_commit_timestamp: 'on' },
  })
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  for (const name of ['store', 'target']) await client.query(`create database ${name}`)
  await client.end()
  const at = (name: string): string => Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href
  return {
    storeUrl: at('store'),
    targetUrl: at('target'),
    async stop() {
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
