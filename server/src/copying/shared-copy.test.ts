import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'

const ROWS = 4_000
const definition = definitionSchema.parse({
  id: 'shared',
  title: 'x',
  copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, chunk: { min: 50, max: 50 } },
})

let database: TestDatabase
let one: Execution
let other: Execution

const open = (name: string) =>
  createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    name,
  })

const order = (more: Partial<WorkOrder> = {}): WorkOrder => ({
  definition,
  sql: { expand: '' },
  epoch: 5,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
  ...more,
})

beforeEach(async () => {
  database = await testDatabase()
  // The role of the test server is named like our schema, which "$user" would find first.
  database.pool.options.onConnect = (client) =>
    client.query('set search_path to public').then(() => undefined)
  await database.pool.query(`create table old_t (id int primary key, v text);
    create table new_t (id int primary key, v text);
    insert into old_t select i, 'v' || i from generate_series(1, ${ROWS}) i`)
  one = open('one')
  other = open('other')
})
afterEach(async () => {
  await one.end()
  await other.end()
  await database.drop()
})

/** Every range of the first look once, without gap or overlap. */
async function expectEachRangeOnce(): Promise<void> {
  const { rows } = await database.pool.query<{ after: string | null; up_to: string; done: boolean }>(
    `select after_key[1] as after, up_to_key[1] as up_to, done from switchback.checkpoints where part = 0
     order by up_to_key[1]::int`,
  )
  expect(rows.every(({ done }) => done)).toBe(true)
  expect(rows.map(({ after }) => after)).toEqual([null, ...rows.slice(0, -1).map((row) => row.up_to)])
  const { rows: sums } = await database.pool.query(
    `select (select sum(rows)::int from switchback.checkpoints) as rows,
            (select count(*)::int from old_t join new_t using (id, v)) as same`,
  )
  expect(sums).toEqual([{ rows: ROWS, same: ROWS }])
}

test('processes share the ranges of a backfill; what one has begun and given up, another takes over', async () => {
  expect(await other.assist(order())).toBe(false)
  let asked = 0
  let assisted = false
  const copying = one.run('backfill', order({ heldBackBy: () => (assisted ? undefined : 'the other') }))
  const stop = new AbortController()
  const helping = order({
    signal: stop.signal,
    heldBackBy: () => {
      asked += 1
      if (asked < 20) return undefined
      assisted = true
      return 'somebody'
    },
  })
  const assisting = waitFor(
    // A call that is stopped has helped.
    () => other.assist(helping).catch(() => stop.signal.aborted),
    { what: 'ranges to be had' },
  )
  const { detail } = await copying
  stop.abort()
  await assisting
  expect(detail).toMatchObject({ rows: ROWS, workers: 4, failedRows: 0 })
  await expectEachRangeOnce()
})

test('a range that another process is copying is waited for, and copied where that process dies', async () => {
  const stop = new AbortController()
  const client = async () => {
    const opened = new pg.Client({ connectionString: database.url })
    await opened.connect()
    await opened.query('set search_path to public')
    return opened
  }
  // The first range cannot be copied for as long as nobody knows whether this row will be there.
  const holder = await client()
  await holder.query(`begin; insert into new_t values (1, 'taken back')`)
  const before = one.run('backfill', order({ signal: stop.signal }))
  const openRanges = async () => {
    const { rows } = await database.pool.query<{ ranges: number }>(
      `select count(*)::int as ranges from switchback.checkpoints
       where not done and exists (select from switchback.copies where frontier = upper_key)`,
    )
    return rows[0]?.ranges
  }
  await waitFor(async () => (await openRanges()) === 1, { what: 'all but the first range to be copied' })
  stop.abort()
  await expect(before).rejects.toMatchObject({ code: 'work-stopped' })
  const dying = await client()
  await dying.query('begin; select from switchback.checkpoints where not done for update')
  await holder.end()

  let told = false
  const after = other.run(
    'backfill',
    order({
      report: ({ stage, done }) => {
        told ||= stage === 'copying' && (done ?? 0) >= ROWS - 50
      },
    }),
  )
  await waitFor(() => told, { what: 'the rest to be told of' })
  expect(await openRanges()).toBe(1)
  // The end of its session is what tells that it has died.
  await dying.end()
  expect((await after).detail).toMatchObject({ rows: ROWS, failedRows: 0 })
  await expectEachRangeOnce()
})
