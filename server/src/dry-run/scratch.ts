import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Catalog } from '../catalog/catalog.ts'
import { recreate } from '../catalog/recreate.ts'
import { quoteIdent } from '../db/db.ts'
import { startBundledPostgres } from '../postgres/bundled-postgres.ts'
import { messageOf } from '../target/execution-error.ts'
import { createTarget, type Sql, type Target } from '../target/target.ts'

export interface Scratch {
  readonly target: Target
  /** Objects that could not be made anew, with the reason. */
  readonly notCopied: readonly { readonly object: string; readonly reason: string }[]
}

/** What a scratch copy is made from. */
export interface Original {
  readonly catalog: Catalog
  /** Names of roles, which a copy of the catalog grants to and which statements may name. */
  readonly roles: readonly string[]
}

/** Runs `work` on a throwaway PostgreSQL that holds the schema of a catalog, without rows. */
export async function onScratchCopy<Result>(
  original: Original,
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
        return await work({ target, notCopied: await copySchema(target, original) })
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

/** Roles of a cluster but those of PostgreSQL itself. */
export async function readRoles(on: Sql): Promise<readonly string[]> {
  const { rows } = await on.query<{ name: string }>(
    `select rolname::text as name from pg_roles where rolname !~ '^pg_' order by 1`,
  )
  return rows.map(({ name }) => name)
}

/** Objects need each other in an order that is not known: whatever fails is tried again after the others. */
async function copySchema(target: Target, { catalog, roles }: Original): Promise<Scratch['notCopied']> {
  // The one that a new database has may be granted otherwise than the original.
  await target.query('drop schema if exists public')
  const there = await readRoles(target)
  for (const role of roles.filter((name) => !there.includes(name))) {
    await target.query(`create role ${quoteIdent(role)} nologin`)
  }
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
