import { definitionSchema } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld } from '../execution/execution-for-tests.ts'
import { describeMapping, type Mapping } from '../mapping/mapping.ts'
import { createTarget, type Target } from '../target/target.ts'
import { copyChunk, fillChunk } from './copy-chunk.ts'
import { joinCopy, openCopy } from './open-copy.ts'
import { maySkipLocks } from './without-locks.ts'

let world: ExecutionWorld
let target: Target

beforeEach(async () => {
  world = await executionWorld('things')
  await world.pool.query(`create table old_t (id int primary key, v text);
    create table new_t (id int primary key, v text);
    insert into old_t select i, 'v' || i from generate_series(1, 100) i`)
  target = createTarget({ url: world.database.url, name: 'test', onIdleError: () => undefined })
})
afterEach(async () => {
  await target.end()
  await world.drop()
})

const mapped = (from = 'public.old_t'): Promise<Mapping> =>
  describeMapping(
    target,
    definitionSchema.parse({
      id: 'things',
      title: 'x',
      copy: { from, to: 'public.new_t', key: { id: 'id' }, columns: { v: 'v' } },
    }),
  )
const places = (withoutLocks: boolean) => ({ source: target, target, withoutLocks: async () => withoutLocks })

async function firstRange(mapping: Mapping, withoutLocks: boolean) {
  const range = await (await openCopy(places(withoutLocks), mapping, 3)).next(100, 'one')
  if (range === undefined || range === 'later') throw new Error('there is no range')
  return range
}

test.each([
  { copy: fillChunk, withoutLocks: true, expected: 'free' },
  { copy: fillChunk, withoutLocks: false, expected: 'locked' },
  { copy: copyChunk, withoutLocks: true, expected: 'locked' },
])(
  '$copy.name, without locks: $withoutLocks: rows of old are $expected meanwhile',
  async ({ copy, withoutLocks, expected }) => {
    const mapping = await mapped()
    const range = await firstRange(mapping, withoutLocks)
    // The copy stands still at its last row, until it is known whether new has one.
    const holder = await world.client()
    await holder.query(`begin; insert into new_t values (100, 'taken back')`)
    const copying = target.connection((on) => copy(on, mapping, range))
    await waitFor(async () => (await world.rows('select from pg_locks where not granted')).length > 0)
    const writer = await world.client()
    const seen = await writer.query('select from old_t where id = 5 for update nowait').then(
      () => 'free',
      ({ code }) => (code === '55P03' ? 'locked' : code),
    )
    await holder.query('rollback')
    await copying
    expect(seen).toBe(expected)
  },
)

const KEPT = {
  'old is a view': ['create view seen as select * from old_t', 'public.seen'],
  'new has another unique key': ['alter table new_t add unique (v)'],
  'new has an exclusion constraint': ['alter table new_t add exclude using btree (v with =)'],
  'a partition of new has another unique key': [
    'drop table new_t; create table new_t (id int primary key, v text) partition by hash (id); create table new_0 partition of new_t for values with (modulus 1, remainder 0); create unique index on new_0 (v)',
  ],
  'rows of new refer to others': [
    'create table v (v text primary key); alter table new_t add foreign key (v) references v not valid',
  ],
} as const
const SKIPPED = {
  'nothing ties rows of new to others': [''],
  'a unique key of new holds the key of the copy': ['create unique index on new_t (v, id)'],
  'rows of new are referred to': ['create table more (id int references new_t)'],
  'old is partitioned': [
    'drop table old_t; create table old_t (id int primary key, v text) partition by hash (id); create table old_0 partition of old_t for values with (modulus 1, remainder 0)',
  ],
} as const

test.each([
  ...Object.entries(KEPT).map(([what, [sql, from]]) => [false, what, sql, from] as const),
  ...Object.entries(SKIPPED).map(([what, [sql]]) => [true, what, sql, undefined] as const),
])('rows of old may be copied without locks: %o, where %s', async (may, _, sql, from) => {
  await world.pool.query(sql)
  expect(await maySkipLocks(target, await mapped(from))).toBe(may)
})

test('locks are kept where transactions of other roles cannot be seen', async () => {
  const role = `blind_${new URL(world.database.url).pathname.slice(1)}`
  await world.pool.query(`create role ${role} login password 'test'; grant select on old_t, new_t to ${role}`)
  const url = new URL(world.database.url)
  url.username = role
  url.password = 'test'
  const blind = createTarget({ url: url.href, name: 'test', onIdleError: () => undefined })
  try {
    expect(await maySkipLocks(blind, await mapped())).toBe(false)
    await world.pool.query(`grant pg_read_all_stats to ${role}`)
    expect(await maySkipLocks(blind, await mapped())).toBe(true)
  } finally {
    await blind.end()
    await world.pool.query(`drop owned by ${role}; drop role ${role}`)
  }
})

test('a copy goes on as it was begun: with locks, or without', async () => {
  const mapping = await mapped()
  for (const begun of [false, true]) {
    await firstRange(mapping, begun)
    const again = await joinCopy(places(!begun), mapping, 3)
    expect(await again?.leftOver('two')).toMatchObject({ withoutLocks: begun })
    await world.pool.query('delete from switchback.copies')
  }
})

test('what a crash takes back of the last that was handed out is handed out again before anything else', async () => {
  await world.pool.query('alter table old_t drop constraint old_t_pkey')
  const mapping = await mapped()
  const copy = await openCopy(places(true), mapping, 3)
  await copy.next(100, 'one')
  expect(await copy.next(100, 'one')).toBeUndefined()
  // As if nothing of it had reached the disk.
  await world.pool.query('delete from switchback.checkpoints; update switchback.copies set frontier = null')
  expect(await copy.settle()).toBe('ranges')
  await (await openCopy(places(true), mapping, 3)).lookAgain()
  const range = await copy.next(100, 'one')
  expect(range).toMatchObject({ after: undefined, again: false })
  if (range === undefined || range === 'later') return
  await target.connection((on) => fillChunk(on, mapping, range))
  expect(await copy.settle()).toBe('second look')
})

test('at a pace, the second look goes through a few rows of all at a time, and they count for what that takes', async () => {
  const mapping = await mapped()
  const range = await firstRange(mapping, true)
  await target.connection((on) => fillChunk(on, mapping, range))
  await world.pool.query('update old_t set v = $$late$$ where id in (2, 3, 50)')
  const copy = await openCopy(places(true), mapping, 3)
  expect(await copy.settle()).toBe('second look')
  await copy.lookAgain()
  const pieces = [await copy.next(1_000, 'one', 40), await copy.next(1_000, 'one', 40)]
  expect(pieces).toMatchObject([
    { after: undefined, upTo: ['40'], counts: 40, again: true },
    { after: ['40'], upTo: ['80'], counts: 40 },
  ])
  for (const piece of pieces) {
    if (typeof piece !== 'object') throw new Error('there is no piece')
    await target.connection((on) => copyChunk(on, mapping, piece))
  }
  expect(await world.rows(`select id from new_t where v = 'late' order by id`)).toEqual(
    [2, 3, 50].map((id) => ({ id })),
  )
  // Without one, so few are copied at once.
  const rest = await copy.next(1_000, 'one')
  expect(rest).toMatchObject({ after: ['80'], upTo: ['100'] })
  expect(rest).not.toHaveProperty('counts')
})
