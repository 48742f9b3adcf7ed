import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import { driftIn } from './ledger.ts'
import { touchedBy } from './touched.ts'

let database: TestDatabase
let execution: Execution

beforeEach(async () => {
  database = await testDatabase()
  execution = createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
  })
  await database.pool.query(`
    create table users (id int primary key, name text);
    create table orders (id int primary key)`)
})
afterEach(async () => {
  await execution.end()
  await database.drop()
})

const order = (id: string, expand: string, rollback: string, epoch = 2): WorkOrder => ({
  definition: definitionSchema.parse({ id, title: 'x' }),
  sql: { expand, rollback },
  epoch,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
})
const drift = async (sql?: string): Promise<readonly string[]> => {
  const scope = sql === undefined ? undefined : touchedBy(await parseSql(sql, 'expand.sql'))
  const states = await execution.schema()
  return states.flatMap((state) => driftIn(state, scope)).map(({ object, kind }) => `${object} ${kind}`)
}

test('a rollback that puts everything back is proven; one that does not names what it left', async () => {
  const good = order(
    'good',
    'alter table users add column bio text; create index concurrently users_bio on users (bio)',
    'drop index concurrently users_bio; alter table users drop column bio',
  )
  await execution.run('expand', good)
  expect((await execution.run('rollback', good)).detail).toMatchObject({ verified: true, left: [] })
  expect(await drift()).toEqual([])

  const bad = order(
    'bad',
    'alter table users add column a int default 1, alter column name set default $$x$$; create table more ()',
    'alter table users drop column a; alter table users drop column name; alter table users add column name text',
  )
  await execution.run('expand', bad)
  const { detail } = await execution.run('rollback', bad)
  expect(detail).toMatchObject({ verified: false })
  expect(detail.left).toEqual([expect.stringContaining('table public.more was not there before')])
  // Until a person has looked at it, what is left is drift.
  expect(await drift()).toEqual(['table public.more unexpected'])
  await execution.acceptSchema()
  expect(await drift()).toEqual([])
})

test('changes by others are no matter of a rollback, and drift until they are accepted', async () => {
  const one = order('one', 'alter table users add column bio text', 'alter table users drop column bio')
  await execution.run('expand', one)
  await database.pool.query('alter table orders add column by_hand int; create table notes ()')
  const other = order('other', 'create table more ()', 'drop table more')
  await execution.run('expand', other)
  expect((await execution.run('rollback', one)).detail).toMatchObject({ verified: true })
  expect(await drift()).toEqual(['column public.orders.by_hand unexpected', 'table public.notes unexpected'])
  // A migration is held up by what it touches alone.
  expect(await drift('alter table orders add column x int')).toEqual([
    'column public.orders.by_hand unexpected',
  ])
  expect(await drift('alter table users add column x int')).toEqual([])
  // A table that came from elsewhere meanwhile is listed, and holds up nobody.
  expect(await drift('alter table notes add column x int')).toEqual([])
  await database.pool.query('alter table orders drop column by_hand; drop table notes; drop table more')
  expect(await drift()).toEqual(['table public.more missing'])
})

test.each([
  [
    'a grant',
    'drop table notes; create table notes (id int)',
    'drop table notes; create table notes (id int); comment on table notes is $$who said what$$',
    ['privileges of public.notes is missing (grant select on table public.notes to ledger_reader)'],
  ],
  [
    'a comment',
    'comment on table notes is null',
    'select 1',
    [`comment of public.notes is missing (comment on table public.notes is 'who said what')`],
  ],
  [
    'default privileges',
    'alter default privileges for role ledger_reader in schema public grant select on tables to public',
    'select 1',
    [expect.stringMatching(/^default privileges of ledger_reader tables in public was not there before/)],
  ],
  [
    'the roles of a policy',
    'alter policy own on orders to public',
    'alter policy own on orders using (true)',
    [
      'policy public.orders.own is as permissive for all to public using (true), expected as permissive for all to ledger_reader using (true)',
    ],
  ],
  [
    'an owner',
    'alter table notes owner to ledger_reader',
    'select 1',
    [
      'owner of public.notes was not there before (alter table public.notes owner to ledger_reader)',
      'privileges of public.notes is missing (grant select on table public.notes to ledger_reader)',
    ],
  ],
])('a rollback that does not put back %s is shown', async (_, expand, rollback, left) => {
  await database.pool.query(`
    do $$ begin create role ledger_reader; exception when duplicate_object or unique_violation then null; end $$;
    create table notes (id int); grant select on notes to ledger_reader; comment on table notes is 'who said what';
    create policy own on orders to ledger_reader using (true)`)
  const change = order('change', expand, rollback)
  await execution.run('expand', change)
  expect((await execution.run('rollback', change)).detail).toMatchObject({ verified: false, left })
})

test('privileges and comments that others change are listed, and hold up nobody; an owner does', async () => {
  await database.pool.query(
    `do $$ begin create role ledger_reader; exception when duplicate_object or unique_violation then null; end $$`,
  )
  await execution.run('expand', order('one', 'alter table users add column bio text', ''))
  await database.pool.query(`grant select on users to ledger_reader; comment on column users.name is 'x'`)
  expect(await drift()).toEqual([
    'comment of public.users.name unexpected',
    'privileges of public.users unexpected',
  ])
  expect(await drift('alter table users add column more int')).toEqual([])
  await database.pool.query('alter table users owner to ledger_reader')
  expect(await drift('alter table users add column more int')).toEqual(['owner of public.users unexpected'])
})

test('what is under way is no drift, and the expectation survives a try that failed', async () => {
  const halfWay = order(
    'half-way',
    'alter table users add column bio text; select 1 / (select count(*) from orders)',
    'alter table users drop column bio',
  )
  await expect(execution.run('expand', halfWay)).rejects.toThrow('division by zero')
  expect(await drift()).toEqual([])
  await execution.run('rollback', halfWay)
  expect(await drift()).toEqual([])
  await database.pool.query('alter table users add column bio text')
  expect(await drift()).toEqual(['column public.users.bio unexpected'])
})

test('nothing is drift before the first migration', async () => {
  expect(await execution.schema()).toMatchObject([{ expected: undefined, underWay: [] }])
  expect(await drift()).toEqual([])
})

test('order of columns counts, their numbers do not', async () => {
  const swap = order(
    'swap',
    'alter table users add column bio text',
    'alter table users drop column bio; alter table users drop column id; alter table users add column id int primary key',
  )
  await execution.run('expand', swap)
  expect((await execution.run('rollback', swap)).detail).toMatchObject({
    verified: false,
    left: [expect.stringContaining('order of columns of public.users is name, id, expected id, name')],
  })
})
