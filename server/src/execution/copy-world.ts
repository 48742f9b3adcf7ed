import { definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import type pg from 'pg'
import { createExecution } from './execution.ts'
import type { Execution, WorkOrder, WorkOutcome } from './execution-port.ts'

/** A target with the execution of one migration `things`, from `old_t` to `new_t`; for tests. */
export interface CopyWorld {
  readonly database: TestDatabase
  readonly pool: pg.Pool
  readonly execution: Execution
  open(name: string): Execution
  definition(copy: object): MigrationDefinition
  run(kind: 'backfill' | 'verify', copy: object, more?: Partial<WorkOrder>): Promise<WorkOutcome>
  rows<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]>
  /** Ends one of the executions before the others. */
  end(execution: Execution): Promise<void>
  close(): Promise<void>
}

export async function copyWorld(): Promise<CopyWorld> {
  const database = await testDatabase()
  const { pool } = database
  // The role of the test server is named like our schema, which "$user" would find first.
  pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  const opened = new Set<Execution>()
  const stop = new AbortController()
  const runs: Promise<unknown>[] = []
  const open = (name: string): Execution => {
    const execution = createExecution({
      url: database.url,
      log: { warn: () => undefined },
      archiveDir: '/nonexistent',
      clock: Date.now,
      name,
    })
    opened.add(execution)
    return execution
  }
  const execution = open('one')
  await execution.prepare('things')
  const definition = (copy: object): MigrationDefinition =>
    definitionSchema.parse({
      id: 'things',
      title: 'Things',
      copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, ...copy },
    })
  return {
    database,
    pool,
    execution,
    open,
    definition,
    run: (kind, copy, more = {}) => {
      const running = execution.run(kind, {
        definition: definition(copy),
        sql: { expand: '' },
        epoch: 3,
        signal: stop.signal,
        report: () => undefined,
        heldBackBy: () => undefined,
        committing: async () => undefined,
        ...more,
      })
      runs.push(running.catch(() => undefined))
      return running
    },
    rows: async (sql) => (await pool.query(sql)).rows,
    end: async (ended) => {
      opened.delete(ended)
      await ended.end()
    },
    close: async () => {
      stop.abort()
      await Promise.all(runs)
      for (const each of opened) await each.end()
      await database.drop()
    },
  }
}
