import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { definitionSchema } from '@switchback/migrations-registry'
import { freePort, waitFor, watchdog } from '@switchback/test/support'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import { orderOf } from '../execution/execution-for-tests.ts'
import type { Execution } from '../execution/execution-port.ts'
import { type BundledPostgres, startBundledPostgres } from '../postgres/bundled-postgres.ts'
import { isRunning } from '../postgres/process-table.ts'

// What nobody waits for stays in memory, where a crash finds it.
const settings = {
  fsync: 'off',
  autovacuum: 'off',
  shared_buffers: '32MB',
  wal_buffers: '16MB',
  wal_writer_delay: '10s',
  wal_writer_flush_after: '1GB',
  max_prepared_transactions: '2',
}
const ROWS = 4_000
const definition = definitionSchema.parse({
  id: 'crash',
  title: 'x',
  copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, chunk: { min: 100, max: 100 } },
})

let folder: string
let port: number
let postgres: BundledPostgres
let execution: Execution

async function start(): Promise<void> {
  postgres = await startBundledPostgres({ dataDir: join(folder, 'pg'), port, settings })
  watchdog().end(postgres.pid, 'SIGQUIT')
}

/** Ends the server without a checkpoint and without writing what it holds in memory, and starts it again. */
async function crash(): Promise<void> {
  const { pid } = postgres
  process.kill(pid, 'SIGQUIT')
  await waitFor(() => !isRunning(pid), { what: 'the server to be gone', timeoutMs: 20_000 })
  watchdog().forget(pid)
  await start()
}

async function query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchback-crash-'))
  chmodSync(folder, 0o755)
  watchdog().remove(folder)
  port = await freePort()
  await start()
  await query(`create table old_t (id int primary key, v text); create table new_t (id int primary key, v text);
    insert into old_t select i, 'v' || i from generate_series(1, ${ROWS}) i`)
  execution = createExecution({
    url: postgres.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    workers: 2,
  })
  await execution.prepare('crash')
})
afterEach(async () => {
  await execution.end()
  await postgres.stop()
  watchdog().forget(postgres.pid)
  rmSync(folder, { recursive: true, force: true })
})

/** Rows that both have alike, and rows of ranges that are done. */
const copied = () =>
  query(`select (select count(*)::int from old_t join new_t using (id, v)) as same,
    (select sum(rows)::int from switchback.checkpoints where done) as done`)

test('what a finished backfill has copied outlives a crash of its target', { timeout: 60_000 }, async () => {
  await execution.run('backfill', orderOf(definition))
  await crash()
  expect(await copied()).toEqual([{ same: ROWS, done: ROWS }])
})

test('what a crash of the target takes back of a backfill is copied again', { timeout: 60_000 }, async () => {
  let asked = 0
  const { detail } = await execution.run(
    'backfill',
    orderOf(definition, {
      heldBackBy: async () => {
        asked += 1
        if (asked === 25) await crash()
        return undefined
      },
    }),
  )
  expect(asked).toBeGreaterThan(25)
  expect(detail).toMatchObject({ rows: ROWS, failedRows: 0 })
  expect(detail.retries).toBeGreaterThan(0)
  expect(await copied()).toEqual([{ same: ROWS, done: ROWS }])
})

test('what a prepared transaction has changed is copied when it is committed, also after a crash of the target', {
  timeout: 60_000,
}, async () => {
  await query(`begin; update old_t set v = 'late' where id = 5; update new_t set v = 'late' where id = 5;
      prepare transaction 'late'`)
  let named = 0
  const running = execution.run(
    'backfill',
    orderOf(definition, {
      report: ({ throttledBy }) => {
        if (throttledBy?.includes('prepared transaction')) named += 1
      },
    }),
  )
  await waitFor(() => named > 0, { what: 'the prepared transaction to be named' })
  expect(await query(`select v from new_t where id = 5`)).toEqual([{ v: 'v5' }])
  await crash()
  const before = named
  await waitFor(() => named > before, { what: 'it to be named again' })
  await query(`commit prepared 'late'`)
  expect((await running).detail).toMatchObject({ failedRows: 0, swept: 0 })
  expect(await query(`select v from new_t where id = 5`)).toEqual([{ v: 'late' }])
})
