import { type CopyMapping, definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld } from '../execution/execution-for-tests.ts'

// What the triggers are guarded against, each guard by a case that goes wrong without it.
let world: ExecutionWorld

type Copy = Partial<Record<keyof CopyMapping, unknown>>
const definition = (copy: Copy = {}): MigrationDefinition =>
  definitionSchema.parse({
    id: 'guarded',
    title: 'x',
    writes: 'trigger',
    copy: { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio' }, ...copy },
  })
const watch = { epoch: 3, signal: new AbortController().signal, tell: () => undefined }
const carry = (copy: Copy = {}) => world.execution.carry(definition(copy), true, watch)
const query = (text: string) => world.pool.query(text)
const bios = async () => [
  await world.rows('select id, bio from users order by id'),
  await world.rows('select user_id as id, bio from profiles order by user_id'),
]

beforeEach(async () => {
  world = await executionWorld('guarded')
  await query(`
    create table users (id int primary key, name text not null default 'nobody', bio text);
    create table profiles (user_id int primary key, bio text)`)
})
afterEach(() => world.drop())

test('what has been carried is not carried back: a value that the way back would not give again stays', async () => {
  await carry({ columns: { bio: "bio || '!'" }, reverse: { bio: "rtrim(bio, '!')" } })
  await query(`insert into users (id, bio) values (1, 'loud!!')`)
  await query(`insert into profiles values (2, 'calm')`)
  expect(await bios()).toEqual([
    [
      { id: 1, bio: 'loud!!' },
      { id: 2, bio: 'calm' },
    ],
    [
      { id: 1, bio: 'loud!!!' },
      { id: 2, bio: 'calm' },
    ],
  ])
})

test('a writer that waits only so long for a lock is refused by it, and no key is left to be repaired', async () => {
  await query(`insert into users (id, bio) values (1, 'one'); insert into profiles values (1, 'one')`)
  await carry()
  const [holder, writer] = [await world.client(), await world.client()]
  await holder.query('begin; select from profiles for update')
  await writer.query(`set lock_timeout = '20ms'`)
  await expect(writer.query(`update users set bio = 'two'`)).rejects.toMatchObject({ code: '55P03' })
  await holder.query('rollback')
  expect(await bios()).toEqual([[{ id: 1, bio: 'one' }], [{ id: 1, bio: 'one' }]])
  expect(await world.rows('select from switchback.repairs')).toEqual([])
})

test('a row of old that is outside of the mapping is not emptied when a row of new of its key goes', async () => {
  await query(`insert into users values (1, 'somebody', 'kept')`)
  await carry({ where: "name = 'nobody'" })
  await query(`insert into profiles values (1, 'kept'); delete from profiles where user_id = 1`)
  expect(await bios()).toEqual([[{ id: 1, bio: 'kept' }], []])
})

test('a row of old that the snapshot of whoever writes new does not show is not passed over', async () => {
  await carry({ where: "name = 'nobody'" })
  const writer = await world.client()
  await writer.query('begin isolation level repeatable read; select from users')
  await query(`insert into users values (1, 'somebody', 'newer')`)
  await expect(writer.query(`insert into profiles values (1, 'older')`)).rejects.toMatchObject({
    code: '40001',
  })
  await writer.query('rollback')
  expect(await world.rows('select from switchback.repairs')).toEqual([])
})

test('who writes anew what somebody has removed behind its snapshot is refused, and tries again', async () => {
  await carry()
  await query(`insert into users (id, bio) values (1, 'one')`)
  const writer = await world.client()
  await writer.query('begin isolation level repeatable read; select from users')
  await query('delete from users where id = 1')
  // Its snapshot shows both rows of this key: the one that is gone, and its own.
  await expect(writer.query(`insert into users (id, bio) values (1, 'mine')`)).rejects.toMatchObject({
    code: '40001',
  })
  await writer.query('rollback')
  expect(await world.rows('select from switchback.repairs')).toEqual([])
})

test('what the expressions name is found whatever the search path of the writer', async () => {
  await query(`create function shout(text) returns text immutable language sql as $$ select upper($1) $$;
    create schema elsewhere; create function elsewhere.shout(text) returns text language sql as $$ select 'wrong' $$`)
  await carry({ columns: { bio: 'shout(bio)' }, reverse: { bio: 'lower(bio)' } })
  const writer = await world.client()
  await writer.query('set search_path to elsewhere')
  await writer.query(`insert into public.users (id, bio) values (1, 'hello')`)
  expect(await bios()).toEqual([[{ id: 1, bio: 'hello' }], [{ id: 1, bio: 'HELLO' }]])
})

test('a table that a writer makes for itself, of the name of one of ours, is written by no trigger', async () => {
  await carry()
  const writer = await world.client()
  await writer.query('create temp table profiles (user_id int primary key, bio text)')
  await writer.query(`insert into public.users (id, bio) values (1, 'hello')`)
  expect((await writer.query('select from pg_temp.profiles')).rowCount).toBe(0)
  expect(await bios()).toEqual([[{ id: 1, bio: 'hello' }], [{ id: 1, bio: 'hello' }]])
})

test('a key that new makes by itself is given by old all the same', async () => {
  await query('alter table profiles alter user_id add generated always as identity')
  await carry()
  await query(`insert into users (id, bio) values (7, 'given')`)
  expect(await bios()).toEqual([[{ id: 7, bio: 'given' }], [{ id: 7, bio: 'given' }]])
  expect(await world.rows('select from switchback.repairs')).toEqual([])
})

test('what arrives by replication, which fires no ordinary trigger, is carried', async () => {
  await carry()
  const replica = await world.client()
  await replica.query('set session_replication_role = replica')
  await replica.query(`insert into users (id, bio) values (1, 'from afar')`)
  expect(await bios()).toEqual([[{ id: 1, bio: 'from afar' }], [{ id: 1, bio: 'from afar' }]])
})

test('several that install at the same time install once, and none fails', async () => {
  const outcomes = await Promise.all(Array.from({ length: 4 }, () => carry()))
  expect(outcomes.every((each) => each === 'installed' || each === 'there')).toBe(true)
  expect(await carry()).toBe('there')
})

test('who installs for an epoch that is passing at this moment waits to hear of it, and installs nothing', async () => {
  const newer = await world.client()
  await newer.query(`begin; update switchback.fences set seen = 3 where migration = 'guarded'`)
  let ended = false
  const installing = world.execution.carry(definition(), true, { ...watch, epoch: 2 }).finally(() => {
    ended = true
  })
  const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
  await waitFor(async () => ended || (await world.rows(waits)).length > 0)
  await newer.query('commit')
  expect(await installing).toBe('stale')
  expect(await world.rows(`select from pg_trigger where tgname like 'switchback:guarded:%'`)).toEqual([])
})

test('triggers that are whole but say something else than the mapping now does are made anew', async () => {
  await carry()
  expect(await carry({ columns: { bio: "bio || '!'" }, reverse: { bio: "rtrim(bio, '!')" } })).toBe(
    'installed',
  )
  await query(`insert into users (id, bio) values (1, 'loud')`)
  expect(await bios()).toEqual([[{ id: 1, bio: 'loud' }], [{ id: 1, bio: 'loud!' }]])
})

test('while an installer waits for a writer, others get through between its tries', async () => {
  const [writer, other] = [await world.client(), await world.client()]
  await query(`insert into users (id, bio) values (1, 'one'), (2, 'two')`)
  await writer.query(`begin; update users set bio = 'before' where id = 1`)
  const installing = carry()
  const queued = `select from pg_locks where not granted and mode = 'ShareRowExclusiveLock'`
  await waitFor(async () => (await world.rows(queued)).length > 0)
  // Whoever stood behind the installer until the writer ends would stand there for good: it ends afterwards.
  await other.query(`set lock_timeout = '30s'; update users set bio = 'meanwhile' where id = 2`)
  await writer.query('commit')
  expect(await installing).toBe('installed')
})

test('triggers that were taken away by us are not missed when they are installed again', async () => {
  await carry()
  expect(await world.execution.carry(definition(), false, watch)).toBe('removed')
  expect(await carry()).toBe('installed')
})

test.each([
  ['profiles', 'users'],
  ['users', 'profiles'],
])(
  'whoever holds %s and goes on to %s, as triggers do, never waits for their removal',
  async (held, next) => {
    await carry()
    const [writer, other] = [await world.client(), await world.client()]
    await writer.query(`begin; lock table ${held} in row exclusive mode`)
    const removing = world.execution.carry(definition(), false, watch)
    const asked = `select from pg_locks where not granted and relation = '${held}'::regclass and mode = 'AccessExclusiveLock'`
    for (let round = 0; round < 5; round++) {
      await waitFor(async () => (await world.rows(asked)).length > 0, { what: 'the removal to wait' })
      await other.query(`begin; lock table ${next} in row exclusive mode nowait; rollback`)
      await waitFor(async () => (await world.rows(asked)).length === 0, { what: 'the removal to give way' })
    }
    await writer.query('commit')
    expect(await removing).toBe('removed')
    expect(await world.rows(`select from pg_trigger where tgname like 'switchback:guarded:%'`)).toEqual([])
  },
)

test.each([
  ['profiles', 'users'],
  ['users', 'profiles'],
])(
  'whoever holds %s and goes on to %s does not keep triggers from being installed for good',
  async (held, next) => {
    const [writer, other] = [await world.client(), await world.client()]
    await writer.query(`begin; lock table ${held} in row exclusive mode`)
    const installing = carry()
    const asked = `select from pg_locks where not granted and relation = '${held}'::regclass and mode = 'ShareRowExclusiveLock'`
    let free = 0
    for (let round = 0; round < 6; round++) {
      await waitFor(async () => (await world.rows(asked)).length > 0, { what: 'the installer to wait' })
      await other.query(`begin; lock table ${next} in row exclusive mode nowait`).then(
        () => free++,
        () => undefined,
      )
      await other.query('rollback')
      await waitFor(async () => (await world.rows(asked)).length === 0, { what: 'the installer to give way' })
    }
    // Such a writer would have gone on, and its end would have let the installer through.
    expect(free).toBeGreaterThanOrEqual(2)
    await writer.query('commit')
    expect(await installing).toBe('installed')
  },
)
