import { readFileSync } from 'node:fs'
import { inTransaction, type Target } from '../target/target.ts'
import type { Catalog, CatalogObject } from './catalog.ts'

let text: string | undefined

const catalogSql = (): string => {
  text ??= readFileSync(new URL('../../src/target/sql/read-catalog.sql', import.meta.url), 'utf8')
  return text
}

/** Locks of the catalog query are the weakest there are; it gives up rather than wait for an ALTER to end. */
const LOCK_TIMEOUT_MS = 1_000
const STATEMENT_TIMEOUT_MS = 30_000

/** Everything that migrations can change, but for what Switchback and extensions have put there. */
export function readCatalog(target: Pick<Target, 'connection'>): Promise<Catalog> {
  return target.connection((connection) =>
    inTransaction(connection, 'begin isolation level repeatable read read only', async () => {
      await connection.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`)
      await connection.query(`set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`)
      // Names in definitions are then written with their schema, whatever the role's own path is.
      await connection.query('set local search_path to pg_catalog')
      const { rows } = await connection.query<CatalogObject & Record<string, unknown>>(catalogSql())
      return rows
    }),
  )
}
