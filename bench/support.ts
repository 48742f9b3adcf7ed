import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BundledPostgres, startBundledPostgres } from '@switchback/server'
import pg from 'pg'

/** Runs `work` on a PostgreSQL of its own, durable as in production, and leaves nothing behind. */
export async function withPostgres<Result>(
  work: (postgres: BundledPostgres) => Promise<Result>,
  settings: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'switchback-bench-'))
  const postgres = await startBundledPostgres({ dataDir: join(folder, 'data'), settings })
  try {
    return await work(postgres)
  } finally {
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** For millions of rows: no checkpoint falls into the time of one contestant alone. */
export const ROOMY = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
}

export const SILENT = { info: () => {}, warn: () => {}, error: () => {} }

/** A pool for as long as `withPostgres` lasts; the server that goes down first is no fault. */
export function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  pool.on('error', () => undefined)
  return pool
}
