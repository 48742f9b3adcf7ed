import { type CopyMapping, definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld, orderOf as order } from '../execution/execution-for-tests.ts'
import type { Execution } from '../execution/execution-port.ts'
import type { WorkProgress } from '../phases/phase-service.ts'

let world: ExecutionWorld
let execution: Execution
let pool: pg.Pool

const profiles = (copy: Partial<Record<keyof CopyMapping, unknown>> = {}): MigrationDefinition =>
  definitionSchema.parse({
    id: 'profiles',
    title: 'x',
    copy: {
      from: 'users',
      to: 'profiles',
      key: { user_id: 'id' },
      columns: { bio: 'bio', tags: 'tags', made_at: 'created_at' },
      ...copy,
    },
  })
beforeEach(async () => {
  world = await executionWorld('profiles')
  ;({ execution, pool } = world)
  await pool.query(`
    create table users (id bigint primary key, name text default 'nobody' not null, bio text,
      tags jsonb not null default '[]', created_at timestamptz not null default now());
    create table profiles (user_id bigint primary key, bio text, tags jsonb, made_at timestamptz);
    insert into users (id, name, bio) select i, 'user ' || i, 'bio ' || i from generate_series(1, 500) i`)
  await execution.run('backfill', order(profiles()))
})
afterEach(() => world.drop())

const damage = () =>
  pool.query(`
    update profiles set bio = 'wrong' where user_id = 17;
    update profiles set tags = null, bio = null where user_id = 18;
    delete from profiles where user_id = 19;
    insert into profiles values (1000, 'ghost', '[]', now())`)

const rows = (sql: string) => world.rows(sql)

test('verification finds each difference, says which, repairs it from old, and is clean in the end', async () => {
  await damage()
  const { divergences, detail } = await execution.run('verify', order(profiles()))
  expect(divergences).toBe(0)
  expect(detail).toMatchObject({ compared: 500, repaired: 4, passes: 2, faults: [] })
  // The second pass looked again where the first had repaired, and nowhere else.
  expect(detail).toMatchObject({ chunks: 2, rows: { old: 500, new: 500 }, sample: { keys: 500 } })
  expect(detail.digest).toMatch(/^[0-9a-f]{64}$/)
  expect(detail.mismatches).toEqual([
    { key: '17', kind: 'differs', columns: ['bio'], values: { bio: { old: 'bio 17', new: 'wrong' } } },
    {
      ...{ key: '18', kind: 'differs', columns: ['bio', 'tags'] },
      values: { bio: { old: 'bio 18', new: null }, tags: { old: '[]', new: null } },
    },
    { key: '19', kind: 'missing', columns: [], values: null },
    { key: '1000', kind: 'extra', columns: [], values: null },
  ])
  expect((await execution.run('verify', order(profiles()))).detail).toMatchObject({ repaired: 0, passes: 1 })
})

test('what a column tolerates is no difference, and what goes beyond it is', async () => {
  await pool.query(`
    create table readings (id int primary key, value float8, taken timestamptz, settings text);
    create table readings_new (id bigint primary key, value float8, taken timestamptz, settings text);
    insert into readings select i, i, '2026-01-01', '{"a": 1, "b": 2}' from generate_series(1, 6) i;
    insert into readings_new select * from readings;
    update readings_new set value = value + 1e-7 where id = 1;
    update readings_new set value = value + 0.1 where id = 2;
    update readings_new set value = null where id = 3;
    update readings_new set taken = taken + interval '400 microseconds' where id = 4;
    update readings_new set taken = taken + interval '2 milliseconds' where id = 5;
    update readings_new set settings = '{"b":2,"a":1}' where id < 6;
    update readings_new set settings = '{"b":2}' where id = 6`)
  const exact = {
    ...{ from: 'readings', to: 'readings_new', key: { id: 'id' } },
    columns: { value: 'value', taken: 'taken', settings: 'settings' },
  }
  const compare = { value: { relative: 1e-6 }, taken: { precision: 'millisecond' }, settings: 'json' }
  const { detail } = await execution.run('verify', order(profiles({ ...exact, compare })))
  expect(
    (detail.mismatches as { key: string; columns: string[] }[]).map(({ key, columns }) => [key, columns]),
  ).toEqual([
    ['2', ['value']],
    ['3', ['value']],
    ['5', ['taken']],
    ['6', ['settings']],
  ])
  expect((await execution.run('verify', order(profiles(exact), { epoch: 4 }))).detail).toMatchObject({
    repaired: 2,
  })
})

test('goes on where it was called off, and looks again where it had repaired', async () => {
  await pool.query(`insert into users (id, bio) select i, 'more' from generate_series(1000, 40000) i;
    insert into profiles select id, bio, tags, created_at from users where id >= 1000;
    update profiles set bio = 'wrong' where user_id = 1500`)
  const stop = new AbortController()
  let chunks = 0
  const calledOff = execution.run(
    'verify',
    order(profiles(), {
      signal: stop.signal,
      heldBackBy: () => {
        chunks += 1
        if (chunks === 3) stop.abort()
        return undefined
      },
    }),
  )
  await expect(calledOff).rejects.toThrow('called off')
  const { divergences, detail } = await execution.run('verify', order(profiles()))
  expect(divergences).toBe(0)
  // 39,501 rows: four chunks, one of which had to be looked at once more. Begun anew it would be no second pass.
  expect(detail).toMatchObject({ chunks: 5, passes: 2, repaired: 1 })
  expect(await rows('select from switchback.verifications')).toEqual([])
})

test('a difference that a dual write explains does not count: it is looked at again under the key lock', async () => {
  const writer = await pool.connect()
  try {
    // Half done as the comparison sees it, were it not for one snapshot: hence a writer in two transactions
    // that holds the key meanwhile.
    await writer.query(`begin; select switchback.lock_key('profiles', '17')`)
    await pool.query(`update users set bio = 'new' where id = 17`)
    const reports: WorkProgress[] = []
    const running = execution.run('verify', order(profiles(), { report: (p) => reports.push(p) }))
    await waitFor(() => reports.some(({ throttledBy }) => throttledBy?.includes('lock_key')))
    await writer.query(`update profiles set bio = 'new' where user_id = 17`)
    await writer.query('commit')
    expect(await running).toMatchObject({ divergences: 0, detail: { repaired: 0, passes: 1 } })
  } finally {
    writer.release()
  }
})

test('what cannot be repaired is divergent, and said why', async () => {
  await pool.query(
    `alter table profiles add check (bio <> 'bio 20') not valid; update users set tags = '[1]' where id = 20`,
  )
  const { divergences, detail } = await execution.run('verify', order(profiles()))
  expect(divergences).toBe(1)
  expect(detail.faults).toEqual([{ key: '20', error: expect.stringContaining('check') }])
})

test('queued repairs are done from the other path, and the row of a deleted key goes', async () => {
  await damage()
  await pool.query(`update users set bio = 'behind' where id = 30; delete from users where id = 31; delete from profiles where user_id = 32;
    delete from users where id = 32`)
  for (const [key, path] of [
    ['17', 'new'],
    ['18', 'new'],
    ['19', 'new'],
    ['1000', 'new'],
    ['30', 'old'],
    ['31', 'old'],
    ['32', 'new'],
  ]) {
    await pool.query(`select switchback.queue_repair('profiles', $1, $2, 3, 'test')`, [key, path])
  }
  expect(await execution.repairs('profiles')).toEqual({ old: 2, new: 5 })
  expect(await execution.repairSome(profiles(), 3)).toBe(3)
  expect(await execution.repairSome(profiles(), 100)).toBe(4)
  expect(await execution.repairs('profiles')).toEqual({ old: 0, new: 0 })
  expect(await rows('select bio from users where id = 30')).toEqual([{ bio: 'bio 30' }])
  expect(await rows('select name, bio from users where id = 31')).toEqual([{ name: 'nobody', bio: 'bio 31' }])
  expect((await execution.run('verify', order(profiles()))).detail).toMatchObject({ repaired: 0 })
})

test('a missing row that was copied stays queued while a transaction may not have seen it', async () => {
  await pool.query('delete from profiles where user_id = 40')
  await pool.query(`select switchback.queue_repair('profiles', '40', 'new', 3, 'test')`)
  const deleter = await pool.connect()
  try {
    await deleter.query('begin isolation level repeatable read; select count(*) from profiles')
    expect(await execution.repairSome(profiles(), 10)).toBe(0)
    expect(await execution.repairs('profiles')).toEqual({ old: 0, new: 1 })
    await deleter.query('delete from users where id = 40')
    expect((await deleter.query('delete from profiles where user_id = 40')).rowCount).toBe(0)
    await deleter.query('commit')
  } finally {
    deleter.release()
  }
  expect(await execution.repairSome(profiles(), 10)).toBe(1)
  expect(await rows('select from profiles where user_id = 40')).toEqual([])
})

test('a queued key whose missing row verification has copied stays queued until older snapshots are gone', async () => {
  await pool.query('delete from profiles where user_id = 40')
  await pool.query(`select switchback.queue_repair('profiles', '40', 'new', 3, 'test')`)
  const deleter = await pool.connect()
  try {
    await deleter.query('begin isolation level repeatable read; select count(*) from profiles')
    const reports: WorkProgress[] = []
    const running = execution.run('verify', order(profiles(), { report: (p) => reports.push(p) }))
    await waitFor(() => reports.some(({ stage }) => stage === 'waiting for older transactions'))
    expect(await execution.repairSome(profiles(), 10)).toBe(0)
    await deleter.query('delete from users where id = 40')
    expect((await deleter.query('delete from profiles where user_id = 40')).rowCount).toBe(0)
    await deleter.query('commit')
    expect(await execution.repairs('profiles')).toEqual({ old: 0, new: 1 })
    expect(await running).toMatchObject({ divergences: 0, detail: { repaired: 2, passes: 3 } })
  } finally {
    deleter.release()
  }
  expect(await execution.repairSome(profiles(), 10)).toBe(1)
})

test('a repair that fails is kept, with its reason, and the others go on', async () => {
  await pool.query(
    `alter table profiles add check (bio <> 'bio 20') not valid; update users set tags = '[1]' where id in (20, 21)`,
  )
  for (const key of ['20', '21'])
    await pool.query(`select switchback.queue_repair('profiles', $1, 'new', 3, 't')`, [key])
  expect(await execution.repairSome(profiles(), 10)).toBe(1)
  expect(await rows('select key, attempts, last_error from switchback.repairs')).toEqual([
    { key: '20', attempts: 1, last_error: expect.stringContaining('check') },
  ])
})

test('the way back updates, inserts, and empties, but never removes a row of a wider table', async () => {
  await pool.query(`update profiles set bio = 'newer' where user_id = 1; delete from profiles where user_id = 2;
    insert into profiles values (600, 'came later', '[6]', '2026-01-01')`)
  const { divergences, detail } = await execution.run('reverse-backfill', order(profiles()))
  expect(divergences).toBe(0)
  expect(detail).toMatchObject({ repaired: 3, passes: 2 })
  expect(await rows('select id, name, bio, tags from users where id in (1, 2, 600) order by id')).toEqual([
    { id: '1', name: 'user 1', bio: 'newer', tags: [] },
    { id: '2', name: 'user 2', bio: null, tags: [] },
    { id: '600', name: 'nobody', bio: 'came later', tags: [6] },
  ])
})

test('the way back removes rows of a table that the mapping covers whole', async () => {
  await pool.query('alter table users drop column name')
  await pool.query('delete from profiles where user_id = 2')
  expect(await execution.run('reverse-backfill', order(profiles()))).toMatchObject({ divergences: 0 })
  expect(await rows('select from users where id = 2')).toEqual([])
})

test('keys that cannot go back are divergent, each with its reason', async () => {
  await pool.query('alter table users alter column name drop default')
  await pool.query(
    `insert into profiles values (600, 'x', '[]', now()); delete from profiles where user_id = 2`,
  )
  await pool.query('alter table users alter column tags drop default')
  const { divergences, detail } = await execution.run('reverse-backfill', order(profiles()))
  expect(divergences).toBe(2)
  expect(detail.faults).toEqual([
    { key: '2', error: 'tags of users cannot be emptied: not null, without a default' },
    { key: '600', error: 'a row of users cannot be made without name' },
  ])
})

test('expressions go back by copy.reverse, and are refused without it', async () => {
  const columns = { bio: 'upper(bio)', tags: 'tags', made_at: 'created_at' }
  await pool.query('update profiles set bio = upper(bio)')
  await pool.query(`update profiles set bio = 'LOUD' where user_id = 1`)
  await expect(execution.run('reverse-backfill', order(profiles({ columns })))).rejects.toThrow(
    'say in copy.reverse how "bio" of users follows from profiles',
  )
  const definition = profiles({ columns, reverse: { bio: 'lower(bio)' } })
  expect(await execution.run('reverse-backfill', order(definition))).toMatchObject({
    divergences: 0,
    detail: { repaired: 1 },
  })
  expect(await rows('select bio from users where id = 1')).toEqual([{ bio: 'loud' }])
})

test('a key that has the same name in old and new goes back too', async () => {
  await pool.query(`
    create table accounts (id bigint primary key, balance int);
    create table balances (id bigint primary key, balance int);
    insert into accounts select i, i from generate_series(1, 20) i;
    insert into balances select i, i from generate_series(1, 20) i;
    delete from balances where id = 7;
    update balances set balance = -1 where id = 8`)
  const definition = profiles({
    from: 'accounts',
    to: 'balances',
    key: { id: 'id' },
    columns: { balance: 'balance' },
  })
  expect(await execution.run('reverse-backfill', order(definition))).toMatchObject({ divergences: 0 })
  const { rows: left } = await pool.query('select count(*)::int as count from accounts where id = 7')
  expect(left).toEqual([{ count: 0 }])
})
