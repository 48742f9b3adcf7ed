import type { MigrationDefinition } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import pg from 'pg'
import { createExecution, type ExecutionOptions } from './execution.ts'
import type { Execution, WorkOrder } from './execution-port.ts'

/** A target of its own, and the work in it. */
export interface ExecutionWorld {
  readonly database: TestDatabase
  /** Finds tables in `public`, as an application does. */
  readonly pool: pg.Pool
  readonly execution: Execution
  rows(text: string): Promise<unknown[]>
  /** A client of its own, which `drop` ends. */
  client(): Promise<pg.Client>
  drop(): Promise<void>
}

/** @param migration for which the target is prepared */
export async function executionWorld(
  migration: string,
  more: Partial<ExecutionOptions> = {},
): Promise<ExecutionWorld> {
  const database = await testDatabase()
  const { pool, url } = database
  // The role of the test server is named like our schema, which "$user" would find first.
  pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  const execution = createExecution({
    url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    ...more,
  })
  await execution.prepare(migration)
  const clients: pg.Client[] = []
  return {
    database,
    pool,
    execution,
    rows: async (text) => (await pool.query(text)).rows,
    client: async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query('set search_path to public')
      clients.push(client)
      return client
    },
    drop: async () => {
      for (const client of clients) await client.end()
      await execution.end()
      await database.drop()
    },
  }
}

/** Work that nobody calls off and nothing holds back. */
export const orderOf = (definition: MigrationDefinition, more: Partial<WorkOrder> = {}): WorkOrder => ({
  definition,
  sql: { expand: '' },
  epoch: 3,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
  ...more,
})

/** A small generator of its own, so that a round can be told by its seed. */
export function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
