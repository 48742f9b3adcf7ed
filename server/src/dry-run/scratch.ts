import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Catalog } from '../catalog/catalog.ts'
import { recreate } from '../catalog/recreate.ts'
import { messageOf } from '../execution/execution-error.ts'
import { createTarget, type Target } from '../execution/target.ts'
import { startBundledPostgres } from '../postgres/bundled-postgres.ts'

export interface Scratch {
  readonly target: Target
  /** Objects that could not be made anew, with the reason. */
  readonly notCopied: readonly { readonly object: string; readonly reason: string }[]
}

/** Runs `work` on a throwaway PostgreSQL that holds the schema of a catalog, without rows. */
export async function onScratchCopy<Result>(
  catalog: Catalog,
  work: (scratch: Scratch) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'switchback-dry-run-'))
  try {
    const postgres = await startBundledPostgres({
      dataDir: join(folder, 'data'),
      settings: { fsync: 'off', autovacuum: 'off' },
    })
    try {
      const target = createTarget({
        url: postgres.url,
        name: 'switchback dry run',
        onIdleError: () => undefined,
      })
      try {
        return await work({ target, notCopied: await copySchema(target, catalog) })
      } finally {
        await target.end()
      }
    } finally {
      await postgres.stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Objects need each other in an order that is not known: whatever fails is tried again after the others. */
async function copySchema(target: Target, catalog: Catalog): Promise<Scratch['notCopied']> {
  let left = recreate(catalog)
  for (;;) {
    const failed: { object: string; sql: string; reason: string }[] = []
    await target.connection(async (connection) => {
      await connection.query('set check_function_bodies = off')
      for (const { object, sql } of left) {
        try {
          await connection.client.query(sql)
        } catch (error) {
          failed.push({ object, sql, reason: messageOf(error) })
        }
      }
      await connection.query('reset check_function_bodies')
    })
    if (failed.length === 0 || failed.length === left.length) {
      return failed.map(({ object, reason }) => ({ object, reason }))
    }
    left = failed
  }
}
