import { waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { heldAfter, type ThingsWorld, thingsWorld } from '../execution/things-for-tests.ts'

const TABLES = `create table old_t (id int primary key, v text, at timestamptz);
  create table new_t (id bigint primary key, v text, at timestamptz);
  create index on old_t (at, id); create index on new_t (at, id)`
// From November to February, by day and hour, some without a time and one for ever.
const ROWS = `insert into old_t select i, 'v' || i,
    timestamptz '2025-11-20 00:00Z' + i * interval '1 hour 13 minutes' from generate_series(1, 1500) i;
  insert into old_t values (2001, 'never', null), (2002, 'for ever', 'infinity'), (2003, 'always', '-infinity')`
const COLUMNS = { columns: { v: 'v', at: 'at' } }
const MONTHS = { ...COLUMNS, chunk: { min: 50, max: 50 }, ranges: { by: 'at', every: '1 month' } }
const DIFFERENT = `select o.id as old, n.id as new from old_t o full join new_t n using (id)
  where (o.v, o.at) is distinct from (n.v, n.at) or o.id is null or n.id is null`

let world: ThingsWorld

beforeEach(async () => {
  world = await thingsWorld()
})
afterEach(() => world.drop())

/** Names of the ranges in the order in which rows were copied; whether any were written meanwhile is by chance. */
const order = async (): Promise<readonly (string | undefined)[]> => {
  const names = (await world.execution.listRanges('things')).map(({ name }) => name)
  const rows = await world.rows<{ part: number }>(
    'select part from (select part, min(id) as first from switchback.checkpoints group by part) p order by first',
  )
  return rows.map(({ part }) => names[part]).filter((name) => name !== 'written meanwhile')
}

test.each([
  ['oldest-first', ['2025-11', '2025-12', '2026-01', '2026-02']],
  ['newest-first', ['2026-02', '2026-01', '2025-12', '2025-11']],
] as const)('months are copied and compared one after the other, %s', async (first, months) => {
  await world.pool.query(`${TABLES}; ${ROWS}`)
  const copy = { ...MONTHS, ranges: { ...MONTHS.ranges, order: first } }
  const told: unknown[] = []
  const { detail } = await world.run('backfill', copy, { report: ({ ranges }) => told.push(ranges?.all) })
  expect(detail).toMatchObject({ rows: 1503, failedRows: 0 })
  expect(await order()).toEqual([...months, 'without at'])
  const ranges = await world.execution.listRanges('things')
  expect(ranges.map(({ state }) => state)).toEqual(Array.from({ length: 6 }, () => 'done'))
  expect(ranges.reduce((sum, { rows }) => sum + rows, 0)).toBe(1503)
  expect(ranges.find(({ name }) => name === '2025-12')).toMatchObject({ rows: 612, total: 612 })
  expect(told).toContain(6)
  expect(await world.rows(DIFFERENT)).toEqual([])

  await world.pool.query(`update new_t set v = 'wrong' where id in (5, 700, 2001);
    update new_t set at = at + interval '70 days' where id = 9; delete from new_t where id in (1400, 2002);
    insert into new_t values (9001, 'ghost', '2026-01-02'), (9002, 'ghost', null)`)
  const compared: unknown[] = []
  const verified = await world.run('verify', copy, { report: ({ ranges }) => compared.push(ranges?.all) })
  expect(verified).toMatchObject({ divergences: 0, detail: { repaired: 8 } })
  expect(compared).toContain(6)
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('ranges of ids are copied one after the other', async () => {
  await world.pool.query(`create table old_t (id int primary key, v text);
    create table new_t (id bigint primary key, v text);
    insert into old_t select i * 10 - 500, 'v' || i from generate_series(1, 250) i`)
  const copy = { chunk: { min: 50, max: 50 }, ranges: { by: 'id', every: 1000 } }
  expect((await world.run('backfill', copy)).detail).toMatchObject({ rows: 250 })
  expect(await order()).toEqual(['-1000--1', '0-999', '1000-1999', '2000-2999'])
  expect(await world.run('verify', copy)).toMatchObject({ divergences: 0, detail: { repaired: 0 } })
})

test('partitions by time on both sides need no index on the time', async () => {
  for (const side of ['old', 'new']) {
    await world.pool.query(`create table ${side}_t (id int, v text, at timestamptz not null, primary key (id, at))
      partition by range (at)`)
    for (const [name, from, to] of [
      ['a', '2026-01-01Z', '2026-02-01Z'],
      ['b', '2026-02-01Z', '2026-03-01Z'],
      ['c', '2026-03-01Z', '2026-04-01Z'],
    ]) {
      await world.pool.query(
        `create table ${side}_${name} partition of ${side}_t for values from ('${from}') to ('${to}')`,
      )
    }
  }
  await world.pool.query(`insert into old_t select i, 'v' || i, timestamptz '2026-01-01Z' + i * interval '1 hour'
    from generate_series(0, 2100) i`)
  const copy = {
    ...{ key: { id: 'id', at: 'at' }, columns: { v: 'v' }, chunk: { min: 100, max: 100 } },
    ranges: { by: 'at', every: '1 month', order: 'newest-first' },
  }
  expect((await world.run('backfill', copy)).detail).toMatchObject({ rows: 2101 })
  expect(await order()).toEqual(['2026-03', '2026-02', '2026-01'])
  await world.pool.query(`update new_t set v = 'wrong' where id in (10, 2000)`)
  const { detail } = await world.run('verify', copy)
  expect(detail).toMatchObject({ repaired: 2, rows: { old: 2101, new: 2101 } })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a copy by ranges that was called off goes on where it was, and copies no range twice', async () => {
  await world.pool.query(`${TABLES}; ${ROWS}`)
  const stop = new AbortController()
  const held = heldAfter(20)
  const running = world.run('backfill', MONTHS, { ...held, signal: stop.signal })
  await waitFor(async () => (await world.done()) >= 15)
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  const { detail } = await world.run('backfill', MONTHS)
  expect(detail).toMatchObject({ rows: 1503, changed: 1503 })
  expect(detail.resumedAt).toBeGreaterThan(500)
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a row that a write moves into a range that is done is copied all the same', async () => {
  await world.pool.query(`${TABLES}; ${ROWS}`)
  const held = heldAfter(20)
  const running = world.run('backfill', MONTHS, held)
  await waitFor(async () => (await world.done()) >= 15)
  // As an application that leaves a row of new that is not there alone.
  await world.pool.query(`update old_t set at = '2025-11-21' where id = 1500`)
  held.go()
  await running
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('a row that a write moves into a range that has been compared is compared all the same', async () => {
  await world.pool.query(`${TABLES}; ${ROWS}; insert into new_t select * from old_t`)
  await world.pool.query(`update new_t set v = 'wrong' where id = 1500`)
  const held = heldAfter(2)
  const chunks: number[] = []
  const running = world.run('verify', MONTHS, {
    ...held,
    report: ({ ranges }) => chunks.push(ranges?.done ?? 0),
  })
  await waitFor(() => (chunks.at(-1) ?? 0) >= 2)
  await world.pool.query(`begin; update old_t set at = '2025-11-21' where id = 1500;
    update new_t set at = '2025-11-21' where id = 1500; commit`)
  held.go()
  expect(await running).toMatchObject({ divergences: 0, detail: { repaired: 1 } })
  expect(await world.rows(DIFFERENT)).toEqual([])
})

test('ranges that cannot be had are refused, saying what to do', async () => {
  await world.pool.query(`${TABLES}; ${ROWS}; create index on old_t (upper(v))`)
  const refused = (ranges: object) => expect(world.run('backfill', { ...COLUMNS, ranges })).rejects
  await refused({ by: 'at', every: 1000 }).toThrow(/copy\.ranges\.every \(1000\) does not go with .*"at"/)
  await refused({ by: 'id', every: '1 day' }).toThrow(/does not go with .*"id".* an? integer/)
  await refused({ by: 'v', every: '1 day' }).toThrow(/does not go with/)
  await refused({ by: 'id', every: 1 }).toThrow(/more than 1000 ranges .*choose a larger/)
  await refused({ by: 'nowhere', every: 1 }).toThrow(/"nowhere" over old_t: column "nowhere" does not exist/)
  await world.pool.query('drop index old_t_at_id_idx')
  await refused({ by: 'at', every: '1 month' }).toThrow(
    /no index serves copy\.ranges\.by.*create index concurrently on old_t \(at, id\)/,
  )
})

test('nothing to copy by ranges is no fault', async () => {
  await world.pool.query(TABLES)
  expect((await world.run('backfill', MONTHS)).detail).toMatchObject({ rows: 0 })
  expect(await world.execution.listRanges('things')).toEqual([])
  expect(await world.run('verify', MONTHS)).toMatchObject({ divergences: 0 })
})

test('where new has no such value, or no index on it, it is compared by its keys', async () => {
  await world.pool.query(`${TABLES}; ${ROWS}`)
  const copy = { ...MONTHS, columns: { v: 'v' } }
  await world.run('backfill', copy)
  await world.pool.query(`update new_t set v = 'wrong' where id = 5`)
  expect((await world.run('verify', copy)).detail).toMatchObject({
    repaired: 1,
    method: expect.stringMatching(/^merge join/),
  })
})
