import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { orderOf } from '../execution/execution-for-tests.ts'
import type { WorkOrder } from '../execution/execution-port.ts'
import { type ThingsWorld, thingsWorld } from '../execution/things-for-tests.ts'

const ROWS = 200
const SMALL = { chunk: { min: 20, max: 20 } }
const AGAIN = 'looking again at what was written meanwhile'
const DIFFERENT = `select o.id as old, n.id as new from old_t o full join new_t n using (id)
  where o.v is distinct from n.v or o.id is null or n.id is null`

let world: ThingsWorld
let writer: pg.Client

beforeEach(async () => {
  world = await thingsWorld()
  await world.pool.query(`create table old_t (id int primary key, v text);
    create table new_t (id int primary key, v text);
    insert into old_t select i, 'first ' || i from generate_series(1, ${ROWS}) i`)
  writer = await world.client()
})
afterEach(() => world.drop())

/** What a run says of itself; holds it back in a stage as long as the test wants. */
function watching() {
  const seen: string[] = []
  let stage = ''
  let hold: string | undefined
  const order: Partial<WorkOrder> = {
    report: (progress) => {
      if (progress.stage !== stage) {
        stage = progress.stage
        seen.push(stage)
      }
      if (progress.throttledBy?.startsWith('older transactions')) seen.push('named')
    },
    heldBackBy: () => (hold !== undefined && hold === stage ? 'the test' : undefined),
  }
  return {
    order,
    holdIn: (held: string | undefined) => {
      hold = held
    },
    waiting: () => waitFor(() => seen.includes('named'), { what: 'older transactions to be named' }),
    in: (wanted: string) => waitFor(() => stage === wanted, { what: wanted }),
    seen,
  }
}

const newRow = (id: number) => world.rows<{ v: string }>(`select v from new_t where id = ${id}`)
const BOTH = `update old_t set v = 'late' where id = 5; update new_t set v = 'late' where id = 5`

/** A transaction that has written before the copy comes by, and ends long after. */
const IN_FLIGHT = {
  'read committed': ['begin', BOTH, 'commit'],
  'repeatable read': ['begin isolation level repeatable read', BOTH, 'commit'],
  serializable: ['begin isolation level serializable', BOTH, 'commit'],
  'a subtransaction': ['begin; savepoint one', `${BOTH}; release one`, 'commit'],
  'a subtransaction over one that was undone': [
    `begin; savepoint one; update old_t set v = 'undone' where id = 5; rollback to one`,
    BOTH,
    'commit',
  ],
} as const

test.each(Object.entries(IN_FLIGHT))(
  'what a transaction has changed that the copy did not wait for is copied when it has ended: %s',
  async (_, [begin, write, end]) => {
    await writer.query(begin)
    await writer.query(write)
    const run = watching()
    const running = world.run('backfill', SMALL, run.order)
    await run.waiting()
    // All is filled, and nobody waited for the row that is held.
    expect(await world.rows('select count(*)::int as n from new_t')).toEqual([{ n: ROWS }])
    expect(await newRow(5)).toEqual([{ v: 'first 5' }])
    expect(run.seen).not.toContain(AGAIN)
    await writer.query(end)
    expect((await running).detail).toMatchObject({ rows: ROWS, changed: ROWS + 1, swept: 0 })
    expect(await newRow(5)).toEqual([{ v: 'late' }])
    expect(await world.rows(DIFFERENT)).toEqual([])
  },
)

test('what was deleted, and what got another key, while it was filled', async () => {
  await writer.query(`begin; delete from old_t where id = 7; delete from new_t where id = 7;
    update old_t set id = 1005 where id = 5; update new_t set id = 1005 where id = 5`)
  const run = watching()
  const running = world.run('backfill', SMALL, run.order)
  await run.waiting()
  expect(await newRow(7)).toEqual([{ v: 'first 7' }])
  await writer.query('commit')
  expect((await running).detail).toMatchObject({ swept: 2 })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a row that the second look has brought, and whose deletion could not see it, is swept', async () => {
  await writer.query('begin; update old_t set id = 1005 where id = 5')
  const run = watching()
  run.holdIn(AGAIN)
  const running = world.run('backfill', SMALL, run.order)
  await run.waiting()
  await writer.query('commit')
  await run.in(AGAIN)
  const late = await world.client()
  await late.query('begin isolation level repeatable read; select')
  run.holdIn(undefined)
  await run.in('waiting for older transactions')
  expect(await newRow(1005)).toEqual([{ v: 'first 5' }])
  await late.query('delete from old_t where id = 1005')
  expect((await late.query('delete from new_t where id = 1005')).rowCount).toBe(0)
  await late.query('commit')
  expect((await running).detail).toMatchObject({ swept: 2 })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a copy that ends between its first and its second look is taken up there', async () => {
  await writer.query(`begin; ${BOTH}`)
  const stop = new AbortController()
  const run = watching()
  const running = world.run('backfill', SMALL, { ...run.order, signal: stop.signal })
  await run.waiting()
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  await writer.query('commit')
  const { detail } = await world.open('other').run('backfill', orderOf(world.definition(SMALL)))
  expect(detail).toMatchObject({ resumedAt: ROWS, rows: ROWS, changed: ROWS + 1 })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('nobody who helps looks again before the one who leads has waited; then they share that, too', async () => {
  await writer.query(`begin; ${BOTH}`)
  const run = watching()
  run.holdIn(AGAIN)
  const running = world.run('backfill', SMALL, run.order)
  await run.waiting()
  const helper = world.open('helper')
  const help = () => helper.assist(orderOf(world.definition(SMALL)))
  expect(await help()).toBe(false)
  expect(await newRow(5)).toEqual([{ v: 'first 5' }])
  await writer.query('commit')
  await run.in(AGAIN)
  await waitFor(help, { what: 'what was written meanwhile to be handed out' })
  expect(await newRow(5)).toEqual([{ v: 'late' }])
  run.holdIn(undefined)
  await running
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a second look whose leader has gone is taken up by the next', async () => {
  await writer.query(`begin; ${BOTH}`)
  const stop = new AbortController()
  const run = watching()
  run.holdIn(AGAIN)
  const running = world.run('backfill', SMALL, { ...run.order, signal: stop.signal })
  await run.waiting()
  await writer.query('commit')
  await run.in(AGAIN)
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  await world.open('other').run('backfill', orderOf(world.definition(SMALL)))
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('many rows that were written meanwhile are looked at range by range, in the order of their keys', async () => {
  await world.pool.query(
    `insert into old_t select i, 'first ' || i from generate_series(${ROWS + 1}, 6000) i`,
  )
  await writer.query(`begin; update old_t set v = 'late' where id % 2 = 0`)
  const run = watching()
  const running = world.run('backfill', {}, run.order)
  await run.waiting()
  await writer.query('commit')
  await running
  const looked = await world.rows<{ changed: number }>(
    'select changed::int from switchback.checkpoints where part = 1 order by id',
  )
  expect(looked.length).toBeGreaterThan(1)
  expect(looked.reduce((sum, { changed }) => sum + changed, 0)).toBe(3000)
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a row that a transaction is mending is not given up for what it was before', async () => {
  await world.pool.query(`update old_t set v = 'bad' where id = 5; alter table new_t add check (v <> 'bad')`)
  await writer.query(
    `begin; update old_t set v = 'good' where id = 5; update new_t set v = 'good' where id = 5`,
  )
  const told: string[] = []
  const running = world.run('backfill', SMALL, {
    report: ({ throttledBy }) => void (throttledBy === undefined || told.push(throttledBy)),
  })
  await waitFor(() => told.some((reason) => reason.includes('backend')), { what: 'the row to be waited for' })
  await writer.query('commit')
  expect((await running).detail).toMatchObject({ failedRows: 0 })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

const OUTDATED = {
  'the transactions are counted from anew': `jsonb_set(parts, '{1,since}', '"900000000000"')`,
  'another server counts them': `jsonb_set(parts, '{1,system}', '"1"')`,
  'two billion have come since': `jsonb_set(parts, '{1,since}', '"-2147483648"')`,
}

test.each(Object.entries(OUTDATED))('a copy is begun anew where %s', async (_, parts) => {
  const stop = new AbortController()
  const run = watching()
  await writer.query(`begin; ${BOTH}`)
  const running = world.run('backfill', SMALL, { ...run.order, signal: stop.signal })
  await run.waiting()
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  await writer.query('commit')
  await world.pool.query(`update switchback.copies set parts = ${parts}`)
  expect((await world.run('backfill', SMALL)).detail).toMatchObject({ begunAnew: 1, resumedAt: 0 })
  expect(await world.rows(DIFFERENT)).toEqual([])
})
