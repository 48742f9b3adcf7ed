import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCopy } from '../copying/open-copy.ts'
import { openTarget } from '../execution/execution.ts'
import { orderOf } from '../execution/execution-for-tests.ts'
import { heldAfter, type ThingsWorld, thingsWorld } from '../execution/things-for-tests.ts'
import { describeMapping } from '../mapping/mapping.ts'

// New calls the key a text: old has an index on the number, but none on its text.
const KEY = { key: { id: 'id::text' } }
const SMALL = { ...KEY, chunk: { min: 20, max: 20 } }
const DIFFERENT = `select o.id as old, n.id as new from old_t o full join new_t n on n.id = o.id::text
  where o.v is distinct from n.v or o.id is null or n.id is null`

let world: ThingsWorld

beforeEach(async () => {
  world = await thingsWorld()
  await world.pool.query(`create table old_t (id int primary key, v text, pad text not null default repeat('x', 900));
    create table new_t (id text primary key, v text)`)
})
afterEach(() => world.drop())

const fill = (rows: number) =>
  world.pool.query(`insert into old_t select i, 'first ' || i from generate_series(1, $1::int) i`, [rows])

test('a table without an index on its key is copied block by block while guarded writers change it', async () => {
  await fill(400)
  let copied = false
  let writing = 0
  const writers = [0, 1, 2].map(async (w) => {
    const client = await world.client()
    for (let n = w; !copied || n < 200; n += 1) {
      if (n === w + 3) writing += 1
      await dual(client, 1 + ((n * 37) % 450), n)
    }
  })
  await waitFor(() => writing === 3)
  const { detail } = await world.run('backfill', SMALL)
  copied = true
  await Promise.all(writers)
  expect(detail).toMatchObject({ failedRows: 0 })
  expect(await world.execution.listRanges('things')).toMatchObject([
    { name: 'old_t', state: 'done' },
    { name: 'written meanwhile', state: 'done' },
  ])
  expect(await world.rows(DIFFERENT)).toEqual([])
  expect(await world.run('verify', SMALL)).toMatchObject({ divergences: 0, detail: { repaired: 0 } })
})

/** One guarded dual write, of new only what has changed, as applications do: a row must be there to be changed. */
async function dual(client: pg.Client, id: number, n: number): Promise<void> {
  await client.query('begin')
  await client.query(`select switchback."enter:things"(1, $1)`, [String(id)])
  for (const [table, key] of [['old_t', id] as const, ['new_t', String(id)] as const]) {
    if (n % 5 === 0) await client.query(`delete from ${table} where id = $1`, [key])
    else if (n % 5 === 1) {
      await client.query(
        `insert into ${table} (id, v) values ($1, $2) on conflict (id) do update set v = excluded.v`,
        [key, `v${n}`],
      )
    } else await client.query(`update ${table} set v = $2 where id = $1`, [key, `v${n}`])
  }
  await client.query('commit')
}

test('a row that is written anew behind what has been copied is copied all the same', async () => {
  await fill(100)
  // Room in the first block, and none in the last.
  await world.pool.query('delete from old_t where id <= 8')
  await world.pool.query('vacuum old_t')
  const held = heldAfter(2)
  const running = world.run('backfill', { ...KEY, chunk: { min: 10, max: 10 } }, held)
  await waitFor(async () => (await world.done()) === 2)
  // As an application that leaves a row of new that is not there alone.
  await world.pool.query(`update old_t set v = 'moved', pad = repeat('y', 900) where id = 90`)
  expect(await world.rows(`select (ctid::text::point)[0] as block from old_t where id = 90`)).toEqual([
    { block: 0 },
  ])
  held.go()
  await running
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a row that moves while its chunk waits for it is copied all the same', async () => {
  await fill(100)
  // Rows of old are locked where a row of new could be in the way of another.
  await world.pool.query('create unique index on new_t (v)')
  await world.pool.query('delete from old_t where id <= 8')
  await world.pool.query('vacuum old_t')
  const writer = await world.client()
  await writer.query('begin')
  // As an application that leaves a row of new that is not there alone.
  await writer.query(`update old_t set v = 'moved', pad = repeat('y', 900) where id = 90`)
  const running = world.run('backfill', { ...KEY, chunk: { min: 10, max: 10 } })
  // The other worker has come to what was written meanwhile.
  await waitFor(async () => (await world.rows('select from switchback.copies where part = 1')).length > 0)
  await writer.query('commit')
  await running
  expect(await world.rows(`select (ctid::text::point)[0] as block from old_t where id = 90`)).toEqual([
    { block: 0 },
  ])
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('what was written meanwhile is handed out when every other range is done', async () => {
  await fill(100)
  const target = openTarget({ url: world.database.url, log: { warn: () => undefined } })
  const places = { source: target, target }
  const copy = await openCopy(places, await describeMapping(target, world.definition(SMALL)), 3)
  const next = () => copy.next(20, 'this one')
  const ranges = [await next()]
  while (typeof ranges.at(-1) === 'object') ranges.push(await next())
  expect(ranges.at(-1)).toBe('later')
  expect(ranges.length).toBeGreaterThan(4)
  await world.pool.query(
    'update switchback.checkpoints set done = true where id > (select min(id) from switchback.checkpoints)',
  )
  expect(await next()).toBe('later')
  await world.pool.query('update switchback.checkpoints set done = true')
  expect(await next()).toMatchObject({ again: true })
  await target.end()
})

test('a table whose rows get other places meanwhile is copied from the beginning', async () => {
  await fill(200)
  const held = heldAfter(4)
  const running = world.run('backfill', SMALL, held)
  await waitFor(async () => (await world.done()) >= 2)
  await world.pool.query('delete from old_t where id <= 100')
  await world.pool.query('vacuum full old_t')
  held.go()
  expect((await running).detail).toMatchObject({ begunAnew: 1, swept: expect.any(Number) })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('each partition and each heir is gone through by itself, and several processes share them', async () => {
  await world.pool.query(`drop table old_t;
    create table old_t (id int, day date, v text) partition by range (day);
    create table old_1 partition of old_t for values from ('2026-01-01') to ('2026-02-01');
    create table old_2 partition of old_t for values from ('2026-02-01') to ('2026-03-01') partition by hash (id);
    create table old_2a partition of old_2 for values with (modulus 2, remainder 0);
    create table old_2b partition of old_2 for values with (modulus 2, remainder 1);
    insert into old_t select i, date '2026-01-01' + i % 59, 'v' || i from generate_series(1, 9000) i`)
  const other = world.open('other')
  const copy = { ...KEY, chunk: { min: 50, max: 50 } }
  let helped = 0
  const progress: unknown[] = []
  const leading = world.run('backfill', copy, { report: (told) => progress.push(told.ranges?.all) })
  for (let ended = false; !ended; ) {
    const assisted = other.assist(orderOf(world.definition(copy)))
    if (await assisted) helped += 1
    ended = (await Promise.race([leading, Promise.resolve('running')])) !== 'running'
  }
  expect((await leading).detail).toMatchObject({ rows: 9000, failedRows: 0 })
  expect(helped).toBeGreaterThan(0)
  expect((await world.execution.listRanges('things')).map(({ name, rows }) => [name, rows > 0])).toEqual([
    ['old_1', true],
    ['old_2a', true],
    ['old_2b', true],
    ['written meanwhile', false],
  ])
  expect(progress).toContain(4)
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('rows at fault are found in their blocks; a copy that was called off goes on where it was', async () => {
  await fill(300)
  await world.pool.query(`alter table new_t add check (v <> 'bad');
    update old_t set v = 'bad' where id in (7, 150, 151, 299)`)
  const stop = new AbortController()
  const running = world.run('backfill', SMALL, { ...heldAfter(6), signal: stop.signal })
  await waitFor(async () => (await world.done()) >= 3)
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  const { detail } = await world.run('backfill', SMALL)
  expect(detail).toMatchObject({ failedRows: 4 })
  expect(detail.resumedAt).toBeGreaterThan(0)
  const failed = await world.execution.listFailedRows('things', { limit: 10 })
  expect(failed.map(({ key }) => key)).toEqual(['150', '151', '299', '7'])
  await world.pool.query('alter table new_t drop constraint new_t_v_check')
  expect((await world.run('backfill', SMALL)).detail).toMatchObject({ failedRows: 0, retriedRows: 4 })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('how often copying, sweeping and comparing read the table does not grow with the number of ranges', async () => {
  await fill(3000)
  await world.pool.query('analyze old_t')
  await world.pool.query(`insert into new_t values ('ghost', 'x')`)
  const reads = async (): Promise<number> => {
    await world.pool.query('select pg_stat_clear_snapshot()')
    const [row] = await world.rows<{ n: number }>(
      `select (seq_tup_read + idx_tup_fetch)::int as n from pg_stat_user_tables where relname = 'old_t'`,
    )
    return row?.n ?? 0
  }
  const before = await reads()
  const other = world.open('other')
  const order = orderOf(world.definition(SMALL))
  const { detail } = await other.run('backfill', order)
  expect(detail).toMatchObject({ rows: 3000, swept: 1 })
  expect(detail.chunks).toBeGreaterThan(100)
  expect(await other.run('verify', order)).toMatchObject({ divergences: 0, detail: { repaired: 0 } })
  // What a session has counted is written down when it ends, at the latest.
  await world.end(other)
  await waitFor(async () => (await reads()) > before)
  // At most 64 times for what was written meanwhile, as all of it seems to be beside an old transaction, and a few
  // for the rest. Ranges of keys would read it twice for each of the 150.
  expect((await reads()) - before).toBeLessThan(100 * 3000)
})

test('verification finds each of many differences by a few passes over both tables, and says how', async () => {
  await fill(3000)
  await world.run('backfill', KEY)
  await world.pool.query(`update new_t set v = 'wrong' where id::int % 10 = 0;
    delete from new_t where id::int % 10 = 1; insert into new_t select 'ghost ' || i, 'x' from generate_series(1, 50) i`)
  const { divergences, detail } = await world.run('verify', KEY)
  expect(divergences).toBe(0)
  expect(detail).toMatchObject({ repaired: 650, passes: 2, method: expect.stringMatching(/^hash join/) })
  expect(await world.rows(DIFFERENT)).toEqual([])
})
