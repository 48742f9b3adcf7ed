import { type CopyMapping, definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld, orderOf } from '../execution/execution-for-tests.ts'
import type { Execution } from '../execution/execution-port.ts'
import { notCarriable } from './carry.ts'

let world: ExecutionWorld
let execution: Execution
let pool: pg.Pool

const moving = (copy: Partial<Record<keyof CopyMapping, unknown>> = {}): MigrationDefinition =>
  definitionSchema.parse({
    id: 'moving-on',
    title: 'x',
    writes: 'trigger',
    copy: {
      from: 'users',
      to: 'profiles',
      key: { user_id: 'id' },
      columns: { bio: 'bio', tags: 'tags' },
      ...copy,
    },
  })
const watch = (epoch = 3) => ({ epoch, signal: new AbortController().signal, tell: () => undefined })
const carry = (copy: Partial<Record<keyof CopyMapping, unknown>> = {}) =>
  execution.carry(moving(copy), true, watch())
const rows = (sql: string) => world.rows(sql)
const repairs = () => rows('select key, path from switchback.repairs')

beforeEach(async () => {
  world = await executionWorld('moving-on')
  ;({ execution, pool } = world)
  await pool.query(`
    create table users (id int primary key, name text not null default 'nobody', bio text, tags json);
    create table profiles (user_id bigint primary key, bio text, tags json, seen int not null default 0);
    insert into users (id, bio) select i, 'bio ' || i from generate_series(1, 20) i`)
})
afterEach(() => world.drop())

describe('a write of old', () => {
  test('reaches new in the same transaction: inserted, changed, given another key, removed', async () => {
    expect(await carry()).toBe('installed')
    await pool.query(`insert into users (id, bio, tags) values (100, 'fresh', '[1]'), (101, null, null)`)
    await pool.query(`update users set bio = 'other' where id = 7`)
    await pool.query('update users set id = 102 where id = 101')
    await pool.query(`delete from users where id = 100 or id = 8`)
    await pool.query(`begin; update users set bio = 'never' where id = 9; rollback`)
    expect(await rows('select user_id::int, bio from profiles order by 1')).toEqual([
      { user_id: 7, bio: 'other' },
      { user_id: 102, bio: null },
    ])
  })

  test('that changes nothing of the mapping writes no row of new', async () => {
    await carry()
    await pool.query(`update users set tags = '{}'`)
    const before = await rows('select ctid::text from profiles order by user_id')
    await pool.query(`update users set name = 'y', bio = bio`)
    expect(before).toHaveLength(20)
    expect(await rows('select ctid::text from profiles order by user_id')).toEqual(before)
  })

  test('outside of the condition of the mapping has no counterpart, and loses the one it had', async () => {
    await carry({ where: "bio <> 'gone'" })
    await pool.query(
      `update users set bio = 'here' where id = 1; insert into users (id, bio) values (50, 'gone')`,
    )
    expect(await rows('select user_id::int from profiles')).toEqual([{ user_id: 1 }])
    await pool.query(`update users set bio = 'gone' where id = 1`)
    expect(await rows('select from profiles')).toEqual([])
  })

  test('by a role that may not write new is carried all the same', async () => {
    await carry()
    const client = await pool.connect()
    try {
      await client.query(`create role carry_guest_${process.pid}`)
      await client.query(
        `grant update, select on users to carry_guest_${process.pid}; begin; set local role carry_guest_${process.pid}`,
      )
      await client.query(`update users set bio = 'guest' where id = 3; commit`)
      expect(await rows('select bio from profiles')).toEqual([{ bio: 'guest' }])
    } finally {
      await client.query(
        `reset role; drop owned by carry_guest_${process.pid}; drop role carry_guest_${process.pid}`,
      )
      client.release()
    }
  })

  test('that new refuses does not fail: its key waits for repair, and is repaired', async () => {
    await carry()
    await pool.query(`alter table profiles add constraint short check (length(bio) < 5) not valid`)
    await pool.query(`update users set bio = 'much too long' where id = 4`)
    expect(await repairs()).toEqual([{ key: '4', path: 'new' }])
    // Whoever writes new now would carry on what is behind.
    await expect(pool.query(`insert into profiles values (4, 'x')`)).rejects.toMatchObject({ code: '40001' })
    await pool.query(`alter table profiles drop constraint short`)
    await waitFor(async () => (await execution.repairSome(moving(), 10)) > 0)
    expect(await rows('select bio from profiles')).toEqual([{ bio: 'much too long' }])
  })
})

describe('a write of new', () => {
  test('reaches old: changed, removed where old is wider, and made where old can be made', async () => {
    await carry()
    await execution.run('backfill', orderOf(moving()))
    await pool.query(`update profiles set bio = 'from new' where user_id = 5; delete from profiles where user_id = 6;
      insert into profiles (user_id, bio) values (60, 'made'); update profiles set seen = 1`)
    expect(await rows('select id, name, bio from users where id in (5, 6, 60) order by id')).toEqual([
      { id: 5, name: 'nobody', bio: 'from new' },
      { id: 6, name: 'nobody', bio: null },
      { id: 60, name: 'nobody', bio: 'made' },
    ])
  })

  test('of which no row of old can be made waits for repair', async () => {
    await pool.query('alter table users alter name drop default')
    await carry()
    await pool.query(
      `insert into profiles (user_id, bio) values (60, 'lonely'), (3000000000, 'too great a key')`,
    )
    expect(await rows('select key, path from switchback.repairs order by key')).toEqual([
      { key: '3000000000', path: 'old' },
      { key: '60', path: 'old' },
    ])
  })

  test('goes through the expressions that the mapping gives for the way back', async () => {
    const copy = { columns: { bio: "bio || '!'" }, reverse: { bio: "rtrim(bio, '!')" } }
    await carry(copy)
    await pool.query(
      `update users set bio = 'loud' where id = 1; insert into profiles (user_id, bio) values (2, 'back!')`,
    )
    expect(await rows('select bio from profiles order by user_id')).toEqual([
      { bio: 'loud!' },
      { bio: 'back!' },
    ])
    expect(await rows('select bio from users where id < 3 order by id')).toEqual([
      { bio: 'loud' },
      { bio: 'back' },
    ])
  })
})

test('rows that an application copies in or changes by a trigger of its own are carried as they end up', async () => {
  await pool.query(`
    create function later() returns trigger language plpgsql as
      $$ begin update users set bio = 'by trigger' where id = new.id and bio = 'first'; return null; end $$;
    create trigger a_later after insert on users for each row execute function later()`)
  await carry()
  await pool.query(`insert into users (id, bio) select i, 'first' from generate_series(200, 210) i`)
  expect(await rows('select distinct bio from profiles')).toEqual([{ bio: 'by trigger' }])
})

test('what the engine copies is carried nowhere, and finds nothing to do twice', async () => {
  await carry()
  const copied = await execution.run('backfill', orderOf(moving()))
  expect(copied.detail).toMatchObject({ rows: 20, changed: 20 })
  expect(await rows('select count(distinct xmin::text)::int as writers from users')).toEqual([{ writers: 1 }])
})

test('neither table can be emptied at a stroke meanwhile, and both can afterwards', async () => {
  await carry()
  for (const table of ['users', 'profiles']) {
    await expect(pool.query(`truncate ${table}`)).rejects.toMatchObject({
      code: 'SB003',
      message: `${table} cannot be truncated while moving-on keeps users and profiles alike`,
    })
  }
  expect(await execution.carry(moving(), false, watch())).toBe('removed')
  await pool.query('truncate users, profiles')
  expect(await rows(`select from pg_proc where proname like 'carry%'`)).toEqual([])
})

describe('installing', () => {
  test('waits for who is in the middle of writing: nothing is left that wrote without being carried', async () => {
    const writer = await pool.connect()
    try {
      await writer.query(`begin; update users set bio = 'before' where id = 1`)
      const heldBy: (string | undefined)[] = []
      let installed = false
      const installing = execution
        .carry(moving(), true, { ...watch(), tell: (reason) => heldBy.push(reason) })
        .then(() => {
          installed = true
        })
      // Others get through between its tries.
      for (let i = 0; i < 3; i++) await pool.query(`update users set bio = 'meanwhile' where id = 2`)
      expect(installed).toBe(false)
      await writer.query(`update users set bio = 'late' where id = 3; commit`)
      await installing
      await pool.query(`update users set bio = 'after' where id = 4`)
      expect(await rows('select user_id::int from profiles')).toEqual([{ user_id: 4 }])
    } finally {
      writer.release()
    }
  })

  test('again does nothing; what somebody took away or switched off is put back and told', async () => {
    await carry()
    expect(await carry()).toBe('there')
    await pool.query('drop trigger "switchback:moving-on:u" on users')
    expect(await carry()).toBe('damaged')
    await pool.query('alter table profiles disable trigger "switchback:moving-on:d"')
    expect(await carry()).toBe('damaged')
    // PostgreSQL itself sees to it that no column of the mapping changes its type meanwhile.
    await expect(pool.query('alter table profiles alter bio type varchar(200)')).rejects.toThrow(
      'used in a trigger',
    )
    await pool.query(`update users set bio = 'carried' where id = 1`)
    expect(await rows('select bio from profiles')).toEqual([{ bio: 'carried' }])
  })

  test('is not undone by who asks late, for an epoch that has passed', async () => {
    await carry()
    await pool.query(`update switchback.fences set seen = 3 where migration = 'moving-on'`)
    expect(await execution.carry(moving(), false, watch(2))).toBe('stale')
    expect(await carry()).toBe('there')
    expect(await execution.carry(moving(), false, watch(3))).toBe('removed')
    expect(await execution.carry(moving(), true, watch(2))).toBe('stale')
  })

  test('is refused before anything is done where the definition alone shows that it cannot be', async () => {
    expect(await notCarriable(moving())).toBeUndefined()
    expect(await notCarriable(moving({ columns: { bio: 'upper(bio)' } }))).toMatchObject({
      code: 'mapping-not-invertible',
      message: expect.stringContaining('copy.columns.bio ("upper(bio)") cannot be inverted by itself'),
    })
  })

  test('refuses what it could not carry back, and says what to add', async () => {
    const refused = [
      [{ columns: { bio: 'upper(bio)' } }, /say in copy.reverse how "bio" of users follows from profiles/],
      [{ key: { user_id: 'id + 1' } }, /say in copy.reverse how "id" of users follows/],
    ] as const
    for (const [copy, message] of refused) await expect(carry({ ...copy })).rejects.toThrow(message)
    await pool.query('alter table users drop constraint users_pkey')
    await expect(carry()).rejects.toThrow('users needs a primary key or unique constraint on exactly ("id")')
    await pool.query('alter table users add primary key (id)')
    await carry({ key: { user_id: 'id + 1' }, reverse: { id: 'user_id::int - 1' } })
    await pool.query(
      `update users set bio = 'moved' where id = 1; update profiles set bio = 'back' where user_id = 2`,
    )
    expect(await rows('select bio from users where id = 1')).toEqual([{ bio: 'back' }])
  })
})
