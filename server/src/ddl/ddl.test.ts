import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import type { WorkProgress } from '../phases/phase-service.ts'
import { endHolder } from '../target/holders.ts'

let database: TestDatabase
let execution: Execution
let pool: pg.Pool

const definition = definitionSchema.parse({ id: 'some-ddl', title: 'x' })
const order = (expand: string, more: Partial<WorkOrder> = {}): WorkOrder => ({
  definition,
  sql: { expand, rollback: 'drop table things' },
  epoch: 2,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
  ...more,
})
const open = (deadlineMs = 60_000) =>
  createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    ddl: { lockTimeoutMs: 400, deadlineMs },
  })

beforeEach(async () => {
  database = await testDatabase()
  pool = database.pool
  // The role of the test server is named like our schema, which "$user" would find first.
  pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  execution = open()
})
afterEach(async () => {
  await execution.end()
  await database.drop()
})

const applied = async (): Promise<number> =>
  (await pool.query(`select from switchback.statements where file = 'expand'`)).rowCount ?? 0

test('statements are told apart by the parser, run one by one, and never twice', async () => {
  const sql = `-- Größe; a semicolon in a comment
    create table things (id int primary key, "größe; " text default ';');
    create function f() returns text language sql as $$ select 'x;y' $$; /* ü */
    insert into things (id) values (1)`
  expect((await execution.run('expand', order(sql))).detail).toMatchObject({ statements: 3 })
  expect((await execution.run('expand', order(`${sql} -- done`))).detail).toMatchObject({
    statements: 0,
    appliedBefore: 3,
  })
  expect((await pool.query('select from things')).rowCount).toBe(1)
  await expect(execution.run('expand', order(sql.replace('(1)', '(2)')))).rejects.toMatchObject({
    code: 'statement-changed',
    message: expect.stringContaining('statement 3 of expand.sql'),
  })
})

test('control characters in strings are part of a statement like any other', async () => {
  const sql = (sign: string) =>
    `create table things (t text); insert into things values ('a${sign}b'); /*${sign}*/ select '\u0085'`
  expect((await execution.run('expand', order(sql('\u0001')))).detail).toMatchObject({ statements: 3 })
  expect((await pool.query('select t from things')).rows).toEqual([{ t: 'a\u0001b' }])
  await expect(execution.run('expand', order(sql('\u0002')))).rejects.toMatchObject({
    code: 'statement-changed',
    message: expect.stringContaining('statement 2'),
  })
})

test('a file that fails half-way resumes where it stood; a rollback clears what is there, and expand runs anew', async () => {
  const good = 'create table things (id int); insert into things values (1);'
  await expect(
    execution.run('expand', order(`${good} insert into things values ('x')`)),
  ).rejects.toMatchObject({
    code: 'statement-failed',
    message: expect.stringContaining('invalid input syntax'),
  })
  expect(await applied()).toBe(2)
  expect(
    (await execution.run('expand', order(`${good} insert into things values (3)`))).detail,
  ).toMatchObject({
    statements: 1,
  })
  const rolledBack = order(good, { epoch: 3 })
  await execution.run('rollback', rolledBack)
  expect(await applied()).toBe(0)
  // Its report was lost: the engine asks again.
  await execution.run('rollback', rolledBack)
  await execution.run('rollback', order(good, { epoch: 4 }))
  expect((await execution.run('expand', order(good, { epoch: 5 }))).detail).toMatchObject({ statements: 2 })
  await execution.run('rollback', order(good, { epoch: 6 }))
  expect((await pool.query(`select to_regclass('things') as t`)).rows[0].t).toBeNull()
})

test('errors of the file are found before anything runs', async () => {
  await expect(execution.run('expand', order('create table things ();\n\ncreat table x ()'))).rejects.toThrow(
    'expand.sql:3: syntax error',
  )
  await expect(execution.run('expand', order('create table things (); commit'))).rejects.toThrow(
    'controls a transaction',
  )
  await expect(
    execution.run('expand', order('create table things (); create index concurrently on things (id)')),
  ).rejects.toThrow('needs a name')
  expect((await pool.query(`select to_regclass('things') as t`)).rows[0].t).toBeNull()
})

test('a lock out of reach is tried again, its holder is named, and given up at the deadline', async () => {
  await pool.query('create table things (id int)')
  const holder = await pool.connect()
  const reports: WorkProgress[] = []
  try {
    await holder.query(`set application_name = 'nightly-report'`)
    await holder.query('begin; select * from things')
    const hasty = open(600)
    await expect(hasty.run('expand', order('alter table things add a int'))).rejects.toMatchObject({
      code: 'lock-not-obtained',
      message: expect.stringContaining('nightly-report'),
    })
    await hasty.end()
    const running = execution.run(
      'expand',
      order('alter table things add a int', { report: (p) => reports.push(p) }),
    )
    await waitFor(() => reports.some(({ throttledBy }) => throttledBy?.includes('nightly-report')))
    // Nobody queues behind it for long: the statement lets go of its place in the queue.
    await pool.query('select from things')
    await holder.query('commit')
    await running
  } finally {
    holder.release()
  }
  await pool.query('select a from things')
})

test('an index that is built concurrently is built again where an earlier try left it invalid', async () => {
  await pool.query('create table things (id int); insert into things values (1), (1)')
  const sql = 'create unique index concurrently things_id on things (id)'
  await expect(execution.run('expand', order(sql))).rejects.toThrow('could not create unique index')
  // What it left would refuse rows from now on: it is gone.
  expect((await pool.query(`select to_regclass('things_id') as i`)).rows).toEqual([{ i: null }])
  await expect(pool.query(sql)).rejects.toThrow('could not create unique index')
  const valid = async () =>
    (await pool.query(`select indisvalid as v from pg_index where indexrelid = to_regclass('things_id')`))
      .rows
  expect(await valid()).toEqual([{ v: false }])
  await pool.query('truncate things')
  await execution.run('expand', order(sql))
  expect(await valid()).toEqual([{ v: true }])
  // The index stands, its record was lost with the process.
  await pool.query('delete from switchback.statements')
  expect((await execution.run('expand', order(sql))).detail).toMatchObject({ statements: 1 })
  const drop = order(`${sql}; drop index concurrently things_id`)
  await execution.run('expand', drop)
  expect(await valid()).toEqual([])
  await pool.query('delete from switchback.statements where position = 1')
  await execution.run('expand', drop)
})

/** A session with an open transaction that has read `things`, for longer than a lock is waited for. */
async function longReader(): Promise<pg.PoolClient> {
  const holder = await pool.connect()
  await holder.query(`set application_name = 'nightly-report'`)
  await holder.query('begin; select * from things')
  await waitFor(async () => {
    const { rows } = await pool.query(
      `select clock_timestamp() - xact_start > interval '450 ms' as old from pg_stat_activity
       where application_name = 'nightly-report' and datname = current_database()`,
    )
    return rows[0]?.old === true
  })
  return holder
}

test('behind a transaction that is old already nobody queues: no try, and its holder is named', async () => {
  await pool.query('create table things (id int)')
  const holder = await longReader()
  try {
    const hasty = open(600)
    await expect(hasty.run('expand', order('alter table things add a int'))).rejects.toMatchObject({
      code: 'lock-not-obtained',
      message: expect.stringMatching(/given up after 0 tries: .*nightly-report/),
    })
    await hasty.end()
  } finally {
    await holder.query('rollback')
    holder.release()
  }
})

test('who is in the way for longer than the definition allows is ended, where it asks for that, and named', async () => {
  await pool.query('create table things (id int)')
  const holder = await longReader()
  holder.on('error', () => undefined)
  const asking = definitionSchema.parse({ id: 'some-ddl', title: 'x', ddl: { cancelBlockers: '300ms' } })
  const { detail } = await execution.run(
    'expand',
    order('alter table things add a int', { definition: asking }),
  )
  expect(detail.cancelled).toEqual([expect.stringContaining('nightly-report')])
  await pool.query('select a from things')
  holder.release(true)
})

test('autovacuum is never ended', async () => {
  const worker = {
    pid: 1,
    application: '',
    state: 'active',
    ageMs: 1e9,
    query: 'autovacuum: VACUUM public.things (to prevent wraparound)',
    table: 'things',
    mode: 'SHARE UPDATE EXCLUSIVE',
    transaction: '',
    backend: 'autovacuum worker',
  } as const
  const asked: string[] = []
  const on = {
    query: async (text: string) => {
      asked.push(text)
      throw new Error('must not be asked')
    },
  }
  expect(await endHolder(on, worker)).toBe(false)
  expect(asked).toEqual([])
})

test('one at a time changes the schema of a target, whichever migration it belongs to', async () => {
  await pool.query('create table things (id int)')
  const holder = await pool.connect()
  const other = { definition: definitionSchema.parse({ id: 'other-ddl', title: 'x' }) }
  const reports: WorkProgress[] = []
  try {
    await holder.query('begin; insert into things values (1)')
    const waits: string[] = []
    const first = execution.run(
      'expand',
      order('create index concurrently things_id on things (id)', {
        report: ({ throttledBy, detail }) => {
          waits.push(throttledBy ?? '')
          const { index } = (detail ?? {}) as { index?: { phase: string } }
          if (index !== undefined) waits.push(index.phase)
        },
      }),
    )
    // How far the build is is told of, and for whom it waits.
    await waitFor(() => waits.some((text) => text.includes('waiting for writers before build')))
    const second = execution.run(
      'expand',
      order('create table more ()', { ...other, report: (report) => reports.push(report) }),
    )
    await waitFor(() => reports.some(({ throttledBy }) => throttledBy === 'schema work of another migration'))
    expect((await pool.query(`select to_regclass('more') as t`)).rows).toEqual([{ t: null }])
    await holder.query('commit')
    await Promise.all([first, second])
  } finally {
    holder.release()
  }
})

test('what REINDEX CONCURRENTLY left behind is dropped before it runs again', async () => {
  await pool.query(
    'create table things (id int); create index things_id on things (id); insert into things values (1)',
  )
  await pool.query(`create index things_id_ccnew on things (id)`)
  await pool.query(`update pg_index set indisvalid = false where indexrelid = 'things_id_ccnew'::regclass`)
  await execution.run('expand', order('reindex index concurrently things_id'))
  const { rows } = await pool.query(`select indexname from pg_indexes where tablename = 'things'`)
  expect(rows).toEqual([{ indexname: 'things_id' }])
})

test('a statement is cancelled when the work is called off', async () => {
  await pool.query('create table things (id int)')
  const holder = await pool.connect()
  const stop = new AbortController()
  try {
    await holder.query('begin; insert into things values (1)')
    const running = execution.run(
      'expand',
      order('create index concurrently things_id on things (id)', {
        signal: stop.signal,
        report: ({ throttledBy }) => {
          if (throttledBy !== undefined) stop.abort()
        },
      }),
    )
    await expect(running).rejects.toMatchObject({ code: 'work-stopped', name: 'AbortError' })
    await holder.query('commit')
  } finally {
    holder.release()
  }
  expect(await applied()).toBe(0)
  await execution.run('expand', order('create index concurrently things_id on things (id)'))
})
