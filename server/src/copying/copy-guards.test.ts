import { definitionSchema } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld } from '../execution/execution-for-tests.ts'
import { describeMapping, type Mapping } from '../mapping/mapping.ts'
import { createTarget, type Target } from '../target/target.ts'
import { copyChunk, fillChunk, hasStray, type OpenRange } from './copy-chunk.ts'
import { giveUpRow } from './failed-rows.ts'
import { openCopy } from './open-copy.ts'
import type { Rests } from './rests.ts'
import { splitRange } from './split-range.ts'

const EPOCH = 3
const definition = definitionSchema.parse({
  id: 'guarded',
  title: 'x',
  copy: { from: 'public.old_t', to: 'public.new_t', key: { id: 'id' }, columns: { v: 'v' } },
})

let world: ExecutionWorld
let target: Target
let mapping: Mapping

beforeEach(async () => {
  world = await executionWorld('guarded')
  await world.pool.query(`create table old_t (id int primary key, v text);
    create table new_t (id int primary key, v text);
    insert into old_t select i, 'v' || i from generate_series(1, 100) i`)
  target = createTarget({ url: world.database.url, name: 'test', onIdleError: () => undefined })
  mapping = await describeMapping(target, definition)
})
afterEach(async () => {
  await target.end()
  await world.drop()
})

const places = () => ({ source: target, target })
const open = () => openCopy(places(), mapping, EPOCH)

async function firstRange(): Promise<OpenRange> {
  const range = await (await open()).next(100, 'one')
  if (range === undefined || range === 'later') throw new Error('there is no range')
  return range
}

const isResting = () =>
  waitFor(
    async () => (await world.rows(`select from pg_stat_activity where wait_event = 'PgSleep'`)).length > 0,
  )

const bounds = (ranges: readonly (OpenRange | 'later' | undefined)[]) =>
  ranges.map((range) => typeof range === 'object' && [range.after?.[0], range.upTo?.[0]])

test('who hands out a range by a frontier that another process has moved, hands out the one after it', async () => {
  const [one, other] = [await open(), await open()]
  const ranges = [await one.next(10, 'one'), await other.next(10, 'other'), await one.next(10, 'one')]
  expect(bounds(ranges)).toEqual([
    [undefined, '10'],
    ['10', '20'],
    ['20', '30'],
  ])
})

// What a stopped worker holds may be another range by now: somebody has cut it, or a crash of the target took
// back that it was handed out, and its number went to another one.
const STALE = {
  'its end': (range: OpenRange): OpenRange => ({ ...range, upTo: ['50'] }),
  'its beginning': (range: OpenRange): OpenRange => ({ ...range, after: ['50'] }),
}

test.each(
  Object.entries(STALE).flatMap(([what, stale]) =>
    ([fillChunk, copyChunk] as const).map((copy) => ({ what, stale, copy })),
  ),
)(
  '$copy.name copies nothing of a range of which $what is not what its checkpoint says',
  async ({ stale, copy }) => {
    const range = await firstRange()
    expect(await target.connection((on) => copy(on, mapping, stale(range)))).toBeUndefined()
    expect(await world.rows('select from new_t')).toEqual([])
    expect(await target.connection((on) => copy(on, mapping, range))).toEqual({ rows: 100, changed: 100 })
  },
)

test.each([{ copy: fillChunk }, { copy: copyChunk }])(
  '$copy.name copies nothing of a range that is done',
  async ({ copy }) => {
    const range = await firstRange()
    await target.connection((on) => copyChunk(on, mapping, range))
    await world.pool.query('delete from new_t')
    expect(await target.connection((on) => copy(on, mapping, range))).toBeUndefined()
    expect(await world.rows('select from new_t')).toEqual([])
  },
)

test('a range that is filled with rests has every row', async () => {
  const range = { ...(await firstRange()), withoutLocks: true, rests: { rows: 7, ms: 1 } }
  expect(await target.connection((on) => fillChunk(on, mapping, range))).toEqual({ rows: 100, changed: 100 })
  expect(await world.rows('table new_t order by id')).toEqual(await world.rows('table old_t order by id'))
})

test('a statement rests where it keeps nobody waiting, and never with rows of old locked', async () => {
  const range = { ...(await firstRange()), rests: { rows: 1, ms: 3_600_000 } }
  const stop = new AbortController()
  const resting = target.cancellable(stop.signal, (on) =>
    fillChunk(on, mapping, { ...range, withoutLocks: true }),
  )
  await isResting()
  stop.abort()
  await expect(resting).rejects.toMatchObject({ code: 'work-stopped' })
  expect(
    await target.connection((on) => fillChunk(on, mapping, { ...range, withoutLocks: false })),
  ).toMatchObject({ rows: 100 })
})

test('a look for strays rests, too, and finds them all the same', async () => {
  await world.pool.query('insert into new_t select id, v from old_t')
  const everything = { after: undefined, upTo: undefined }
  const look = (rests: Rests, signal = new AbortController().signal) =>
    target.cancellable(signal, (on) => hasStray(on, mapping, everything, rests))
  expect(await look({ rows: 7, ms: 1 })).toBe(false)
  await world.pool.query('delete from old_t where id = 99')
  expect(await look({ rows: 7, ms: 1 })).toBe(true)
  const stop = new AbortController()
  const resting = look({ rows: 1, ms: 3_600_000 }, stop.signal)
  await isResting()
  stop.abort()
  await expect(resting).rejects.toMatchObject({ code: 'work-stopped' })
})

test.each(Object.entries(STALE))(
  'no row is given up by a range of which %s is not what its checkpoint says',
  async (_, stale) => {
    const range = await firstRange()
    await giveUpRow(places(), mapping, 100, stale(range), new Error('at fault'))
    expect(await world.rows('select done from switchback.checkpoints')).toEqual([{ done: false }])
    expect(await world.rows('select from switchback.failed_rows')).toEqual([])
  },
)

test('a range is cut once: who would cut what is cut or copied by now has nothing of it', async () => {
  const range = await firstRange()
  expect(bounds((await splitRange(places(), range)) as readonly OpenRange[])).toEqual([
    [undefined, '50'],
    ['50', '100'],
  ])
  expect(await splitRange(places(), range)).toBeUndefined()
  const [half] = (await splitRange(places(), { ...range, upTo: ['50'] })) as readonly OpenRange[]
  if (half === undefined) throw new Error('it was not cut')
  await target.connection((on) => copyChunk(on, mapping, half))
  expect(await splitRange(places(), half)).toBeUndefined()
  expect(
    await world.rows(
      'select after_key[1] as after, up_to_key[1] as up_to, done from switchback.checkpoints order by up_to_key[1]::int',
    ),
  ).toEqual([
    { after: null, up_to: '25', done: true },
    { after: '25', up_to: '50', done: false },
    { after: '50', up_to: '100', done: false },
  ])
})
