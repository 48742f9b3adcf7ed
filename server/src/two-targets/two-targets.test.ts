import {
  defaultConfig,
  definitionSchema,
  initialState,
  judgeGate,
  type MigrationConfig,
  type MigrationDefinition,
  type MigrationState,
} from '@switchback/migrations-registry'
import {
  createMigration,
  createRecorder,
  type HalfPort,
  independent,
  MigrationRuntime,
  pgTransaction,
  runtimeOptionsOf,
  systemClock,
  type UntypedOptions,
} from '@switchback/sdk'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openTarget } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import { createTargetFacts } from '../phases/target-facts.ts'
import type { Targets } from './pair.ts'
import { pairExecutionOn } from './pair-execution.ts'

const ID = 'profiles'
let one: TestDatabase
let other: TestDatabase
let old: pg.Pool
let fresh: pg.Pool
let targets: Targets
let execution: Execution

const input = (copy: object = {}) => ({
  id: ID,
  title: 'x',
  copy: {
    from: 'users',
    to: 'profiles',
    toTarget: 'analytics',
    key: { user_id: 'id' },
    columns: { bio: 'bio', tags: 'tags', made_at: 'created_at', code: 'code' },
    ...copy,
  },
})
const definition = (copy: object = {}): MigrationDefinition => definitionSchema.parse(input(copy))
const order = (more: Partial<WorkOrder> = {}): WorkOrder => ({
  definition: definition(),
  sql: { expand: '' },
  epoch: 3,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
  ...more,
})

beforeEach(async () => {
  one = await testDatabase()
  other = await testDatabase()
  old = one.pool
  fresh = other.pool
  for (const pool of [old, fresh]) {
    // The role of the test server is named like our schema, which "$user" would find first.
    pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  }
  const log = { warn: () => undefined }
  targets = { old: openTarget({ url: one.url, log }), new: openTarget({ url: other.url, log }) }
  execution = pairExecutionOn(targets, { archiveDir: '/nonexistent', clock: Date.now, fenceWaitMs: 300 })
  await old.query(`create table users (id bigint primary key, name text default 'nobody' not null,
    bio text, tags jsonb not null default '[]', created_at timestamptz not null default now(),
    code char(6), score numeric(10,2))`)
  await fresh.query(`create table profiles (user_id bigint primary key, bio text, tags jsonb,
    made_at timestamptz, code varchar(6))`)
  await execution.prepare(ID)
})
afterEach(async () => {
  await execution.end()
  await one.drop()
  await other.drop()
})

const addUsers = (count: number) =>
  old.query(
    `insert into users (id, name, bio, tags, code)
     select i, 'user ' || i, case i % 5 when 0 then null when 1 then '' else E'line\\n"quoted", {brace} \\\\ ' || i end,
            jsonb_build_array(i, null, 'ü'), case when i % 3 = 0 then null else 'c' || i % 100 end
     from generate_series(1, $1::int) i`,
    [count],
  )
const OLD = `select id::text as key, bio, tags, created_at, rtrim(code) as code from users order by id`
const NEW = `select user_id::text as key, bio, tags, made_at as created_at, code from profiles order by user_id`
const rowsOf = async (pool: pg.Pool, text: string): Promise<unknown[]> => (await pool.query(text)).rows
const equal = async (): Promise<number> => {
  const found = await rowsOf(fresh, NEW)
  expect(found).toEqual(await rowsOf(old, OLD))
  return found.length
}

type Tx = { readonly query: pg.Pool['query'] }
const configOf = (epoch: number, write: 'dual-old' | 'dual-new'): MigrationConfig => ({
  ...defaultConfig(ID),
  epoch,
  phase: 'dual-write',
  write,
})

/** An instance of the application. */
function instance(config: MigrationConfig, ports: { old?: HalfPort<Tx>; new?: HalfPort<Tx> } = {}) {
  const env = {
    instance: 'here',
    clock: systemClock,
    random: () => 0,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    recorder: createRecorder(),
    lease: undefined,
    newer: async () => false,
  }
  const options = {
    key: (id: string) => id,
    transaction: independent<Tx>({ old: pgTransaction(old), new: pgTransaction(fresh), ...ports }),
    write: {
      old: (id: string, tx: Tx, bio: string) =>
        tx.query(
          'insert into users (id, bio) values ($1, $2) on conflict (id) do update set bio = excluded.bio',
          [id, bio],
        ),
      new: (id: string, tx: Tx, bio: string) =>
        tx.query(
          `insert into profiles (user_id, bio, tags, made_at) values ($1, $2, '[]', 'epoch')
           on conflict (user_id) do update set bio = excluded.bio`,
          [id, bio],
        ),
    },
    remove: {
      old: (id: string, tx: Tx) => tx.query('delete from users where id = $1', [id]),
      new: (id: string, tx: Tx) => tx.query('delete from profiles where user_id = $1', [id]),
    },
  }
  const runtime = new MigrationRuntime(
    ID,
    runtimeOptionsOf(options as unknown as UntypedOptions),
    env,
    () => undefined,
  )
  runtime.apply(config)
  return { runtime, migration: createMigration(env, runtime) }
}

/** A port that loses its connection right before it would commit second. */
const dying = (pool: pg.Pool, by: pg.Pool): HalfPort<Tx> => {
  const port = pgTransaction(pool)
  return {
    ...port,
    beginHalf: async (guard, question) => {
      const half = await port.beginHalf(guard, question)
      return {
        ...half,
        commit: async () => {
          const { rows } = await half.tx.query<{ pid: number }>('select pg_backend_pid() as pid')
          await by.query('select pg_terminate_backend($1)', [rows[0]?.pid])
          return half.commit()
        },
      }
    },
  }
}

/** Until somebody waits for a lock in this database; both are on one server. */
const somebodyWaits = (pool: pg.Pool): Promise<boolean> =>
  waitFor(async () => {
    const waits = await rowsOf(
      pool,
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
    return waits.length > 0
  })

/** An instance that stops between the commit of old and that of new, until it is let go on. */
function slowInstance(config: MigrationConfig) {
  let letGo = (): void => undefined
  let arrived = (): void => undefined
  const reached = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const free = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const port = pgTransaction(fresh)
  const slow: HalfPort<Tx> = {
    ...port,
    beginHalf: async (guard, question) => {
      const half = await port.beginHalf(guard, question)
      return {
        ...half,
        commit: async () => {
          arrived()
          await free
          return half.commit()
        },
      }
    },
  }
  return { ...instance(config, { new: slow }), reached, letGo: () => letGo() }
}

test('the new table may be in another database, and not in the same under two names', () => {
  expect(definition().copy?.toTarget).toBe('analytics')
  const result = definitionSchema.safeParse({ ...input(), target: 'analytics' })
  expect(result.error?.issues).toMatchObject([{ path: ['copy', 'toTarget'] }])
})

test('history is copied into the other database, what differs alone, and verified by checksums', async () => {
  await addUsers(2_345)
  const first = await execution.run('backfill', order())
  expect(first.detail).toMatchObject({ rows: 2_345, changed: 2_345, failedRows: 0 })
  expect(await equal()).toBe(2_345)
  await old.query(`update users set bio = 'newer' where id in (7, 8)`)
  const second = await execution.run('backfill', order({ epoch: 4 }))
  expect(second.detail).toMatchObject({ rows: 2_345, changed: 2 })
  expect(await execution.run('verify', order())).toMatchObject({
    divergences: 0,
    detail: { passes: 1, repaired: 0, compared: 2_345 },
  })
})

test('a copy that was interrupted goes on where its checkpoints say', async () => {
  await addUsers(3_000)
  const stop = new AbortController()
  const chunked = definition({ chunk: { target: '1ms', min: 100, max: 100 } })
  const running = execution.run(
    'backfill',
    order({
      definition: chunked,
      signal: stop.signal,
      report: ({ done }) => {
        if ((done ?? 0) > 300) stop.abort()
      },
      // One report is made with every change of what holds it back.
      heldBackBy: (() => {
        let asked = 0
        return () => (asked++ % 2 === 1 ? 'slowly' : undefined)
      })(),
    }),
  )
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  const outcome = await execution.run('backfill', order({ definition: chunked }))
  expect(outcome.detail).toMatchObject({ rows: 3_000, resumedAt: expect.any(Number) })
  expect(Number(outcome.detail.resumedAt)).toBeGreaterThan(300)
  expect(await equal()).toBe(3_000)
})

test('rows that the other database cannot hold are listed, and the rest is copied', async () => {
  await old.query('alter table users alter column code type text')
  await addUsers(300)
  await old.query(`update users set code = 'much too long' where id = 42`)
  const outcome = await execution.run('backfill', order())
  expect(outcome.detail).toMatchObject({ failedRows: 1 })
  expect(await execution.failedRows(ID)).toBe(1)
  expect(await rowsOf(fresh, 'select from profiles')).toHaveLength(299)
  await old.query(`update users set code = 'short' where id = 42`)
  expect((await execution.run('backfill', order())).detail).toMatchObject({ failedRows: 0, retriedRows: 1 })
  expect(await equal()).toBe(300)
})

test('verification finds each difference across the databases and repairs it from old', async () => {
  await addUsers(25_000)
  await execution.run('backfill', order())
  await fresh.query(`update profiles set bio = 'wrong' where user_id = 17;
    update profiles set bio = '' where user_id = 15; delete from profiles where user_id = 12345;
    insert into profiles values (30000, 'ghost', '[]', now()), (-5, 'ghost', '[]', now())`)
  const outcome = await execution.run('verify', order())
  expect(outcome).toMatchObject({ divergences: 0, detail: { passes: 2, repaired: 5 } })
  const { mismatches } = outcome.detail as { mismatches: { key: string; kind: string }[] }
  expect(mismatches).toHaveLength(5)
  expect(mismatches).toEqual(
    expect.arrayContaining([
      { key: '17', kind: 'differs' },
      { key: '15', kind: 'differs' },
      { key: '12345', kind: 'missing' },
      { key: '30000', kind: 'extra' },
      { key: '-5', kind: 'extra' },
    ]),
  )
  expect(await equal()).toBe(25_000)
})

test('the way back brings old up to new, and empties what a wider table lost', async () => {
  await addUsers(500)
  await execution.run('backfill', order())
  await fresh.query(`update profiles set bio = 'new', code = 'x' where user_id <= 3;
    delete from profiles where user_id = 4;
    insert into profiles values (900, 'born in new', '[1]', '2026-01-01', 'born')`)
  const outcome = await execution.run('reverse-backfill', order())
  expect(outcome).toMatchObject({ divergences: 0, detail: { repaired: 5 } })
  expect(
    await rowsOf(
      old,
      'select id::int, name, bio, rtrim(code) as code from users where id in (1, 4, 900) order by id',
    ),
  ).toEqual([
    { id: 1, name: 'user 1', bio: 'new', code: 'x' },
    { id: 4, name: 'user 4', bio: null, code: null },
    { id: 900, name: 'nobody', bio: 'born in new', code: 'born' },
  ])
  expect(await execution.run('reverse-backfill', order())).toMatchObject({
    detail: { repaired: 0, passes: 1 },
  })
})

test('a range is locked in old until its rows are in new: a writer in between is not overwritten', async () => {
  await addUsers(50)
  // Holds the copy between its read of old and its commit in new.
  const blocker = await fresh.connect()
  await blocker.query(`begin; insert into profiles values (20, 'held', '[]', now())`)
  const copying = execution.run('backfill', order())
  await somebodyWaits(fresh)
  const { migration } = instance(configOf(3, 'dual-old'))
  const writing = migration.write('30', 'written meanwhile')
  await somebodyWaits(old)
  await blocker.query('rollback')
  blocker.release()
  await Promise.all([copying, writing])
  expect(await rowsOf(fresh, 'select bio from profiles where user_id = 30')).toEqual([
    { bio: 'written meanwhile' },
  ])
  expect(await execution.run('verify', order())).toMatchObject({ divergences: 0, detail: { repaired: 0 } })
})

test('copy, verification and repair beside hot writers and dying ones end with both equal', async () => {
  await addUsers(40)
  const writers = [
    instance(configOf(3, 'dual-old')),
    instance(configOf(3, 'dual-old')),
    instance(configOf(3, 'dual-old'), { new: dying(fresh, old) }),
  ]
  const stop = new AbortController()
  const traffic = writers.map(async ({ migration }, i) => {
    for (let n = 0; !stop.signal.aborted; n++) {
      const key = String(1 + ((n * 5 + i) % 12))
      if (n % 4 === i) await migration.remove(key)
      else await migration.write(key, `${i}.${n}`)
    }
  })
  const chunked = order({ definition: definition({ chunk: { target: '1ms', min: 3, max: 3 } }) })
  await execution.run('backfill', chunked)
  await execution.run('verify', chunked)
  stop.abort()
  await Promise.all(traffic)
  await Promise.all(writers.map(({ runtime }) => runtime.ledger.untilIdle()))
  await old.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
  await waitFor(async () => {
    await execution.repairSome(definition(), 100)
    return (await execution.repairs(ID)).new === 0
  })
  const text = (pool: string, key: string) => `select ${key}::text as key, bio from ${pool} order by ${key}`
  expect(await rowsOf(fresh, text('profiles', 'user_id'))).toEqual(await rowsOf(old, text('users', 'id')))
})

test.each([
  ['dual-old', 'new'],
  ['dual-new', 'old'],
] as const)(
  'an intent of %s that is left over shows at the gate and is repaired',
  async (variant, behind) => {
    await addUsers(3)
    await execution.run('backfill', order())
    const ports = behind === 'new' ? { new: dying(fresh, old) } : { old: dying(old, fresh) }
    await instance(configOf(5, variant), ports).migration.write('2', 'acknowledged')
    const none = { old: 0, new: 0 }
    expect(await execution.repairs(ID)).toEqual({ ...none, [behind]: 1 })
    // Of the present epoch and a moment old it may be a write in progress; of a passed one it cannot be.
    expect(await execution.repairs(ID, { path: behind, epoch: 5 })).toEqual(none)
    expect(await execution.repairs(ID, { path: behind, epoch: 6 })).toEqual({ ...none, [behind]: 1 })
    // The path that leads is not written second: its intents are left over whatever their age.
    const leads = behind === 'new' ? 'old' : 'new'
    expect(await execution.repairs(ID, { path: leads, epoch: 5 })).toEqual({ ...none, [behind]: 1 })
    // Not touched before its time: nothing is done, and nothing forgotten.
    expect(await execution.repairSome(definition(), 10)).toBe(0)
    const home = behind === 'new' ? old : fresh
    await home.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
    expect(await execution.repairs(ID, { path: behind, epoch: 5 })).toEqual({ ...none, [behind]: 1 })
    expect(await execution.repairSome(definition(), 10)).toBe(1)
    expect(await execution.repairs(ID)).toEqual(none)
    expect(await rowsOf(old, 'select bio from users where id = 2')).toEqual([{ bio: 'acknowledged' }])
    expect(await rowsOf(fresh, 'select bio from profiles where user_id = 2')).toEqual([
      { bio: 'acknowledged' },
    ])
  },
)

test('the gate names what a death between the databases left, and opens when it is repaired', async () => {
  await addUsers(3)
  await execution.run('backfill', order())
  const facts = createTargetFacts(
    () => execution,
    () => undefined,
  )
  const begun = initialState(ID, 0)
  const state: MigrationState = { ...begun, phase: 'shadow', epoch: 5, complete: { old: true, new: true } }
  const migration = {
    definition: definition(),
    sql: { expand: '' },
    source: '',
    checksum: '',
    state,
    revision: 1,
  }
  const blockers = async () =>
    judgeGate(migration.definition, state, {
      now: 1,
      instances: [],
      repairs: await facts.repairs(migration),
      failedRows: await facts.failedRows(migration),
      hasContractSql: false,
      dependencies: [],
    }).blockers.map(({ code, subject, message }) => ({ code, subject, message }))
  expect(await blockers()).toEqual([])
  // Under the epoch before: whoever wrote it cannot be at it any more.
  await instance(configOf(4, 'dual-old'), { new: dying(fresh, old) }).migration.write('2', 'acknowledged')
  expect(await blockers()).toEqual([
    { code: 'repairs-open', subject: 'new', message: '1 keys of new wait for repair.' },
  ])
  await old.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await blockers()).toEqual([])
})

test('a repair waits for a write in progress, which holds the key in the other database', async () => {
  await addUsers(1)
  await execution.run('backfill', order())
  const { migration, runtime, reached, letGo } = slowInstance(configOf(5, 'dual-old'))
  const writing = migration.write('1', 'slow')
  await reached
  // Taken for dead, though it is not.
  await old.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
  expect(await execution.repairSome(definition(), 10)).toBe(0)
  expect(await execution.repairs(ID)).toEqual({ old: 0, new: 1 })
  letGo()
  await writing
  await runtime.ledger.untilIdle()
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await execution.repairs(ID)).toEqual({ old: 0, new: 0 })
  expect(await rowsOf(fresh, 'select bio from profiles')).toEqual([{ bio: 'slow' }])
})

test.each(['old', 'new'] as const)('a repair waits for whoever holds the key in %s alone', async (path) => {
  await addUsers(1)
  await old.query(`select switchback.queue_repair('${ID}', '1', 'new', 3, 'x')`)
  const holder = await (path === 'old' ? old : fresh).connect()
  await holder.query(`begin; select switchback.lock_key('${ID}', '1')`)
  expect(await execution.repairSome(definition(), 10)).toBe(0)
  await holder.query('rollback')
  holder.release()
  expect(await execution.repairSome(definition(), 10)).toBe(1)
})

test('a write in progress is no difference: verification waits for it under the locks', async () => {
  await addUsers(5)
  await execution.run('backfill', order())
  const { migration, reached, letGo } = slowInstance(configOf(3, 'dual-old'))
  const writing = migration.write('3', 'half way')
  await reached
  const verifying = execution.run('verify', order())
  await somebodyWaits(fresh)
  letGo()
  await writing
  expect(await verifying).toMatchObject({ divergences: 0, detail: { repaired: 0, passes: 1 } })
})

test('a repair whose copy cannot be committed stays queued', async () => {
  await addUsers(1)
  await execution.run('backfill', order())
  // Fails when the database of new commits: what says that it is behind must not be gone by then.
  await fresh.query(`create function refuse() returns trigger language plpgsql as $$ begin
      raise exception 'refused at commit'; end $$;
    create constraint trigger refuse after update on profiles deferrable initially deferred
      for each row execute function refuse()`)
  await old.query(
    `update users set bio = 'ahead'; select switchback.queue_repair('${ID}', '1', 'new', 3, 'x')`,
  )
  expect(await execution.repairSome(definition(), 10)).toBe(0)
  expect(await execution.repairs(ID)).toEqual({ old: 0, new: 1 })
  expect(await rowsOf(old, 'select attempts, last_error from switchback.repairs')).toEqual([
    { attempts: 1, last_error: 'refused at commit' },
  ])
  await fresh.query('drop trigger refuse on profiles')
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await rowsOf(fresh, 'select bio from profiles')).toEqual([{ bio: 'ahead' }])
})

test('a key of which each path is behind is not copied either way', async () => {
  await addUsers(2)
  await execution.run('backfill', order())
  await old.query(`select switchback.queue_repair('${ID}', '1', 'new', 3, 'x')`)
  await fresh.query(`select switchback.queue_repair('${ID}', '1', 'old', 3, 'x')`)
  await old.query(`select switchback.queue_repair('${ID}', 'no number', 'new', 3, 'x')`)
  await old.query(`select switchback.queue_repair('${ID}', '2', 'new', 3, 'x')`)
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await execution.repairs(ID)).toEqual({ old: 1, new: 2 })
  expect(await rowsOf(old, 'select key, attempts, last_error from switchback.repairs order by key')).toEqual([
    { key: '1', attempts: 1, last_error: expect.stringContaining('each path is behind') },
    { key: 'no number', attempts: 1, last_error: expect.stringContaining('bigint') },
  ])
})

test('passing the fence waits in both databases', async () => {
  const held = await fresh.connect()
  await held.query('begin')
  await held.query(`select switchback."enter:${ID}"(1, 'k')`)
  expect(await execution.passFence(ID, 2)).toMatchObject({
    passed: false,
    holders: [{ ageMs: expect.any(Number) }],
  })
  expect(await execution.minimum(ID)).toBe(2)
  await held.query('commit')
  held.release()
  expect(await execution.passFence(ID, 2)).toEqual({ passed: true })
  for (const pool of [old, fresh]) {
    await expect(pool.query(`select switchback."enter:${ID}"(1, 'k')`)).rejects.toMatchObject({
      code: 'SB001',
    })
  }
})

test('expand and rollback are about the database of new', async () => {
  const sql = { expand: 'create table extra (id int primary key)', rollback: 'drop table extra' }
  await execution.run('expand', order({ sql }))
  expect(await rowsOf(fresh, `select to_regclass('extra')::text as name`)).toEqual([{ name: 'extra' }])
  expect(await rowsOf(old, `select to_regclass('extra')::text as name`)).toEqual([{ name: null }])
  await execution.run('rollback', order({ sql, epoch: 4 }))
  expect(await rowsOf(fresh, `select to_regclass('extra')::text as name`)).toEqual([{ name: null }])
})
