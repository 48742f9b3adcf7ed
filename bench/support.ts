import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BundledPostgres, startBundledPostgres } from '@switchback/server'

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

export const SILENT = { info: () => {}, warn: () => {}, error: () => {} }
