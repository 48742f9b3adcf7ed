import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import type { WorkProgress } from '../phases/phase-service.ts'

const file = (name: string) =>
  readFileSync(
    fileURLToPath(
      new URL(`../../../migrations-registry/migrations/2026-11-user-profiles/${name}`, import.meta.url),
    ),
    'utf8',
  )
const sql = { expand: file('expand.sql'), rollback: file('rollback.sql'), contract: file('contract.sql') }
const userProfiles = (copy: object = {}): MigrationDefinition =>
  definitionSchema.parse({
    id: 'user-profiles',
    title: 'Profiles',
    copy: {
      from: 'users',
      to: 'user_profiles',
      key: { user_id: 'id' },
      columns: { bio: 'bio', preferences: 'preferences', created_at: 'created_at' },
      ...copy,
    },
  })

let database: TestDatabase
let execution: Execution
let pool: pg.Pool

const open = (workers = 2) =>
  createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    workers,
  })

const order = (definition: MigrationDefinition, more: Partial<WorkOrder> = {}): WorkOrder => ({
  definition,
  sql,
  epoch: 3,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
  ...more,
})

beforeEach(async () => {
  database = await testDatabase()
  pool = database.pool
  // The role of the test server is named like our schema, which "$user" would find first.
  pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  execution = open()
  await pool.query(`create table users (id uuid primary key, name text not null, bio text,
    preferences jsonb not null default '{}', created_at timestamptz not null default now())`)
  await execution.prepare('user-profiles')
})
afterEach(async () => {
  await execution.end()
  await database.drop()
})

const addUsers = (count: number) =>
  pool.query(
    `insert into users (id, name, bio, preferences)
     select md5(i::text)::uuid, 'user ' || i, case when i % 7 = 0 then null else repeat('x', i % 100) end,
            jsonb_build_object('n', i) from generate_series(1, $1::int) i`,
    [count],
  )

const differences = async (): Promise<number> => {
  const { rows } = await pool.query(
    `select count(*)::int as n from users u full join user_profiles p on p.user_id = u.id
     where u.id is null or p.user_id is null
        or (u.bio, u.preferences, u.created_at) is distinct from (p.bio, p.preferences, p.created_at)`,
  )
  return rows[0].n
}

test.each([1, 2])('%i workers copy every row, once', async (workers) => {
  await pool.query(sql.expand)
  await addUsers(3000)
  const mine = open(workers)
  const reports: WorkProgress[] = []
  const outcome = await mine.run(
    'backfill',
    order(userProfiles({ chunk: { target: '1ms', min: 100, max: 400 } }), { report: (p) => reports.push(p) }),
  )
  expect(outcome).toMatchObject({
    divergences: 0,
    detail: { rows: 3000, changed: 3000, failedRows: 0, swept: 0 },
  })
  expect(await differences()).toBe(0)
  expect(reports.some(({ stage, total }) => stage === 'copying' && total === 3000)).toBe(true)
  // Again in the same epoch: all is done. In another: all is looked at, nothing is written.
  const again = await mine.run('backfill', order(userProfiles()))
  expect(again.detail).toMatchObject({ rows: 3000, resumedAt: 3000 })
  const anew = await mine.run('backfill', order(userProfiles(), { epoch: 5 }))
  expect(anew.detail).toMatchObject({ rows: 3000, changed: 0, resumedAt: 0 })
  await mine.end()
})

test('nothing to copy is no fault', async () => {
  await pool.query(sql.expand)
  const outcome = await execution.run('backfill', order(userProfiles()))
  expect(outcome.detail).toMatchObject({ rows: 0, failedRows: 0 })
})

test('composite, text and integer keys, expressions and a condition', async () => {
  await pool.query(`
    create table rides (org text, nr int, "Note" text, live boolean, primary key (org, nr));
    insert into rides select case i % 3 when 0 then 'a' when 1 then 'É' else 'b,"x"' end, i, 'n' || i, i % 2 = 0
      from generate_series(1, 900) i;
    create table ride_notes (org text, nr bigint, note varchar(20), short numeric(6, 1), doc json, primary key (nr, org))`)
  const definition = definitionSchema.parse({
    id: 'user-profiles',
    title: 'x',
    copy: {
      from: 'rides',
      to: 'ride_notes',
      key: { org: 'org', nr: 'rides.nr' },
      columns: { note: '"Note"', short: 'nr / 3.0', doc: `json_build_object('n', nr)` },
      where: 'live',
      chunk: { min: 50, max: 50 },
    },
  })
  const outcome = await execution.run('backfill', order(definition))
  expect(outcome.detail).toMatchObject({ rows: 450, failedRows: 0 })
  const { rows } = await pool.query(
    `select count(*)::int as n from ride_notes t join rides r using (org, nr)
     where r.live and t.note = r."Note" and t.short = (r.nr / 3.0)::numeric(6, 1)`,
  )
  expect(rows[0].n).toBe(450)
  const verified = await execution.run('verify', order(definition))
  expect(verified).toMatchObject({ divergences: 0, detail: { compared: 450, repaired: 0, passes: 1 } })
})

test('rows that cannot be copied are found, listed and skipped, and copied once they can be', async () => {
  await pool.query(sql.expand)
  await addUsers(2000)
  await pool.query(`alter table user_profiles add check (bio not like 'bad%')`)
  await pool.query(`update users set bio = 'bad ' || name where name in ('user 17', 'user 1234')`)
  const outcome = await execution.run('backfill', order(userProfiles()))
  expect(outcome.detail).toMatchObject({ failedRows: 2 })
  expect(await execution.failedRows('user-profiles')).toBe(2)
  expect(await differences()).toBe(2)
  const { rows } = await pool.query('select sqlstate, error from switchback.failed_rows')
  expect(rows[0]).toMatchObject({ sqlstate: '23514', error: expect.stringContaining('check') })
  // One is corrected, the other is still at fault.
  await pool.query(`update users set bio = 'good' where name = 'user 17'`)
  expect((await execution.run('backfill', order(userProfiles()))).detail).toMatchObject({
    failedRows: 1,
    retriedRows: 1,
  })
  expect(await differences()).toBe(1)
  // What stood in the way is gone, and no row of old has changed.
  await pool.query('alter table user_profiles drop constraint user_profiles_bio_check')
  const last = await execution.run('backfill', order(userProfiles()))
  expect(last.detail).toMatchObject({ failedRows: 0 })
  expect(await differences()).toBe(0)
})

test('a mapping that the database cannot follow says what is wrong', async () => {
  await expect(execution.run('backfill', order(userProfiles()))).rejects.toThrow('no table user_profiles')
  await pool.query(
    'create table user_profiles (user_id uuid, bio text, preferences jsonb, created_at timestamptz)',
  )
  await expect(execution.run('backfill', order(userProfiles()))).rejects.toThrow('primary key or unique')
  await pool.query('alter table user_profiles add primary key (user_id)')
  await expect(
    execution.run('backfill', order(userProfiles({ columns: { biography: 'bio' } }))),
  ).rejects.toThrow('no column "biography"')
  await expect(execution.run('backfill', order(userProfiles({ key: { user_id: 'uid' } })))).rejects.toThrow(
    'column "uid" does not exist',
  )
})

test('a worker whose connection is cut goes on; a run that is called off is taken up by the next', async () => {
  await pool.query(sql.expand)
  await addUsers(4000)
  const definition = userProfiles({ chunk: { min: 100, max: 100 } })
  const stop = new AbortController()
  let asked = 0
  const first = execution.run(
    'backfill',
    order(definition, {
      signal: stop.signal,
      heldBackBy: () => {
        asked += 1
        if (asked === 20) stop.abort()
        return undefined
      },
    }),
  )
  await expect(first).rejects.toMatchObject({ code: 'work-stopped' })
  const partly = await pool.query('select count(*)::int as n from user_profiles')
  expect(partly.rows[0].n).toBeGreaterThan(0)
  expect(partly.rows[0].n).toBeLessThan(4000)
  asked = 0
  let cuts = 0
  const outcome = await execution.run(
    'backfill',
    order(definition, {
      heldBackBy: () => {
        asked += 1
        if (asked === 5 || asked === 9) {
          cuts += 1
          void pool.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name = 'switchback' and pid <> pg_backend_pid()`,
          )
        }
        return undefined
      },
    }),
  )
  expect(cuts).toBe(2)
  expect(outcome.detail).toMatchObject({ rows: 4000, failedRows: 0 })
  expect(outcome.detail.resumedAt).toBeGreaterThan(0)
  expect(await differences()).toBe(0)
})

test('copying pauses while it is held back, and says by what', async () => {
  await pool.query(sql.expand)
  await addUsers(100)
  let held: string | undefined = 'the backfill flag is off'
  const reports: WorkProgress[] = []
  const running = execution.run(
    'backfill',
    order(userProfiles(), { heldBackBy: () => held, report: (p) => reports.push(p) }),
  )
  await waitFor(() => reports.some(({ throttledBy }) => throttledBy === 'the backfill flag is off'))
  expect((await pool.query('select from user_profiles')).rowCount).toBe(0)
  held = undefined
  await running
  expect(await differences()).toBe(0)
})

test('a row that is being changed is waited for, and its outcome is what is copied', async () => {
  await pool.query(sql.expand)
  await addUsers(50)
  const writer = await pool.connect()
  const reports: WorkProgress[] = []
  try {
    await writer.query('begin')
    await writer.query(`update users set bio = 'late' where name = 'user 1'`)
    await writer.query(`delete from users where name = 'user 2'`)
    const running = execution.run('backfill', order(userProfiles(), { report: (p) => reports.push(p) }))
    await waitFor(() => reports.some(({ throttledBy }) => throttledBy?.includes('backend')))
    await writer.query('commit')
    await running
  } finally {
    writer.release()
  }
  expect(await differences()).toBe(0)
})

test('the sweep waits for every snapshot from before the end of the copy', async () => {
  await pool.query(sql.expand)
  await addUsers(50)
  const deleter = await pool.connect()
  const reports: WorkProgress[] = []
  try {
    await deleter.query('begin isolation level repeatable read')
    await deleter.query('select count(*) from user_profiles')
    const running = execution.run('backfill', order(userProfiles(), { report: (p) => reports.push(p) }))
    await waitFor(() => reports.some(({ throttledBy }) => throttledBy?.includes('older transactions')))
    // It sees the row of old alone: the one in new was copied after its snapshot.
    await deleter.query(
      `select switchback."enter:user-profiles"(3, (select id::text from users where name = 'user 1'))`,
    )
    expect(
      (
        await deleter.query(
          `delete from user_profiles where user_id = (select id from users where name = 'user 1')`,
        )
      ).rowCount,
    ).toBe(0)
    expect((await deleter.query(`delete from users where name = 'user 1'`)).rowCount).toBe(1)
    await deleter.query('commit')
    expect((await running).detail).toMatchObject({ swept: 1 })
  } finally {
    deleter.release()
  }
  expect(await differences()).toBe(0)
})
