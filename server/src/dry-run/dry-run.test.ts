import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { compareCatalogs, fingerprint } from '../catalog/compare-catalogs.ts'
import { readCatalog } from '../catalog/read-catalog.ts'
import { planFile } from '../plan/statement-plan.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import { createTarget, type Target } from '../target/target.ts'
import { dryRun } from './dry-run.ts'
import { rehearse } from './rehearse.ts'
import { onScratchCopy, readRoles } from './scratch.ts'

let database: TestDatabase
let target: Target

beforeAll(async () => {
  database = await testDatabase()
  target = createTarget({ url: database.url, name: 'test', onIdleError: () => undefined })
})
beforeEach(async () => {
  await database.pool.query(ROLES)
  await database.pool.query('drop schema if exists public, billing cascade; create schema public')
})
afterAll(async () => {
  await target.end()
  await database.drop()
})

const SCHEMA = `
  create table users (id int primary key, name text, region text);
  create index users_region on users (region);
  create table orders (id int primary key, user_id int, note text);
  create table parts (id int) partition by range (id);
  create table parts_1 partition of parts for values from (0) to (10);
  create table loose (id int);
  create materialized view names as select id, name from users;
  create unique index names_id on names (id);
  create view people as select name from users;
  create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger touched before update on users for each row execute function touch();
  alter table orders add constraint note_short check (length(note) < 99) not valid;`

describe('the locks that are expected are the locks that are taken', () => {
  test.each([
    'alter table users add column plan text',
    'alter table users alter column name set statistics 500',
    'alter table users set (fillfactor = 90)',
    'alter table orders add constraint orders_user foreign key (user_id) references users (id) not valid',
    'alter table orders validate constraint note_short',
    'alter table users disable trigger touched',
    'alter table users alter column region type varchar(20)',
    'alter table users rename to people_now',
    'alter table parts attach partition loose for values from (10) to (20)',
    'alter table parts detach partition parts_1',
    'create table pets (id int primary key, owner int references users (id))',
    'create index orders_user_id on orders (user_id)',
    'create index concurrently orders_user_id on orders (user_id)',
    'drop index concurrently users_region',
    'reindex table concurrently users',
    'create trigger again after insert on users for each row execute function touch()',
    'drop trigger touched on users',
    'create policy own on users using (true)',
    'create statistics on id, region from users',
    'truncate orders',
    'refresh materialized view names',
    'refresh materialized view concurrently names',
    'drop table orders',
    'drop view people',
    'comment on table users is $$x$$',
    'insert into orders values (1, 1)',
    'create type mood as enum ()',
  ])('%s', async (sql) => {
    await database.pool.query(SCHEMA)
    const [statement] = await parseSql(sql, 'expand.sql')
    const [plan] = await planFile('expand', sql, [], () => 'users')
    if (statement === undefined || plan === undefined) throw new Error('no statement')
    const { locks, seen, error } = await rehearse(target, statement, plan.locks)
    expect(error).toBeUndefined()
    expect(seen).toBe(true)
    // Weak locks of what a statement merely reads are not told of.
    const told = locks.filter(({ mode }) => mode !== 'ACCESS SHARE' && mode !== 'ROW SHARE')
    expect(told.map(({ mode, on }) => `${mode} ${on}`).sort()).toEqual(
      plan.locks.map(({ mode, on }) => `${mode} ${on}`).sort(),
    )
  })
})

const EVERYTHING = `
  create schema billing;
  create type mood as enum ('sad', 'it''s');
  create type pair as (a int, b text);
  create domain short as text default 'x' not null constraint brief check (length(value) < 9);
  create sequence numbers increment by 5 cycle maxvalue 100;
  create function double(x int) returns int language sql immutable as 'select x * 2';
  create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
  create table users (
    id bigint generated always as identity primary key, old_id serial, name text collate "C" not null default 'x',
    mood mood, p pair, s short, twice int generated always as (double(old_id)) stored, unique (name, mood),
    number int default nextval('numbers'), constraint positive check (old_id > 0));
  create unlogged table billing."Größe, ""x""" (id bigint references users (id) on delete cascade, at timestamptz);
  create index on billing."Größe, ""x""" (at desc nulls last) where id > 5;
  create table events (id bigint, day date not null, primary key (id, day)) partition by range (day);
  create index on events (day);
  create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
  create table base (a int); create table derived (b int) inherits (base);
  create view happy as select id, name from users where mood is not null;
  create materialized view counts as select mood, count(*) from users group by mood;
  create unique index on counts (mood);
  create trigger touched before update on users for each row execute function touch();
  create rule quiet as on delete to base do instead nothing;
  alter table users enable row level security;
  create policy own on users for select to app using (id > 0);
  create statistics both_of on name, mood from users;
  alter table base owner to app; alter sequence numbers owner to app; alter function double(int) owner to app;
  alter schema billing owner to app; alter type mood owner to app; alter view happy owner to app;
  grant select, insert on users to app with grant option; grant update (name, mood) on users to reader;
  grant usage on schema billing, public to reader; grant usage on sequence numbers to reader; revoke usage on type short from public;
  revoke execute on function touch() from public; revoke truncate on base from app;
  alter default privileges for role app in schema public grant select on tables to reader;
  alter default privileges for role app grant usage on sequences to public;
  comment on table users is 'who''s who'; comment on column users.name is 'x'; comment on index counts_mood_idx is 'x';
  comment on view happy is 'x'; comment on materialized view counts is 'x'; comment on function double(int) is 'x';
  comment on constraint positive on users is 'x'; comment on trigger touched on users is 'x';
  comment on policy own on users is 'x'; comment on type mood is 'x'; comment on domain short is 'x'; comment on sequence numbers is 'x';
  comment on schema billing is 'x';`

// Roles belong to the cluster, which other test files use too.
const ROLES = `do $$ declare name text; begin
  foreach name in array array['app', 'reader'] loop
    begin execute format('create role %I nologin', name); exception when duplicate_object or unique_violation then null; end;
  end loop;
end $$`

test('a scratch copy has all that the schema consists of', async () => {
  await database.pool.query(EVERYTHING)
  const catalog = await readCatalog(target)
  await onScratchCopy({ catalog, roles: await readRoles(target) }, async (scratch) => {
    expect(scratch.notCopied).toEqual([])
    const copied = await readCatalog(scratch.target)
    // The copy of a serial column's sequence belongs to nobody.
    const plain = (object: (typeof catalog)[number]) => ({
      ...object,
      definition: object.definition.replace(/ owned by .*/, ''),
    })
    for (const kind of ['owner', 'privileges', 'default privileges', 'comment']) {
      expect(catalog.filter((object) => object.kind === kind).length, kind).toBeGreaterThan(1)
    }
    expect(compareCatalogs(catalog.map(plain), copied)).toEqual([])
    expect(fingerprint(copied)).toBe(fingerprint(catalog.map(plain)))
  })
})

const migration = (expand: string, rollback?: string, contract?: string) => ({
  definition: definitionSchema.parse({ id: 'some-change', title: 'x' }),
  sql: {
    expand,
    ...(rollback === undefined ? {} : { rollback }),
    ...(contract === undefined ? {} : { contract }),
  },
})

test('a dry run tells locks, rewrites, scans, who is in the way, and what rollback leaves; the target is untouched', async () => {
  await database.pool.query(
    `${SCHEMA} insert into users select i, 'n' from generate_series(1, 500) i; analyze`,
  )
  const before = fingerprint(await readCatalog(target))
  const holder = await database.pool.connect()
  try {
    await holder.query(`set application_name = 'nightly-report'; begin; select from users`)
    const report = await dryRun(
      target,
      migration(
        `alter table users add column plan text;
         create index concurrently users_plan on users (plan);
         alter table orders validate constraint note_short;
         alter table users alter column id type bigint`,
        'alter table users drop column plan',
      ),
    )
    expect(report).toMatchObject({ ran: 'on a scratch copy', ok: false })
    const [plain, index, validate, rewrite] = report.statements
    expect(plain).toMatchObject({ blocking: true, seen: true, rewrites: [], work: 'catalog' })
    expect(plain?.changes).toMatchObject([{ object: 'column public.users.plan', kind: 'unexpected' }])
    expect(plain?.inTheWay).toMatchObject([{ application: 'nightly-report', mode: 'ACCESS SHARE' }])
    expect(index).toMatchObject({
      blocking: false,
      seen: true,
      work: 'index build',
      locks: [{ mode: 'SHARE UPDATE EXCLUSIVE', on: 'users', new: false }],
      inTheWay: [],
    })
    expect(validate).toMatchObject({ blocking: false, scans: ['orders'], work: 'scan' })
    expect(rewrite).toMatchObject({ error: expect.stringContaining('cannot alter type') })
    expect(report.skipped.map(({ file, reason }) => `${file}: ${reason}`)).toEqual([
      'rollback: expand.sql failed',
      'contract: there is no contract.sql',
    ])
    expect(report.tables).toMatchObject([{ table: 'orders' }, { table: 'users', rows: 500 }])
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  expect(fingerprint(await readCatalog(target))).toBe(before)
})

test('what rollback.sql leaves behind is named; what has run in the target is not run again', async () => {
  await database.pool.query(SCHEMA)
  const change = migration(
    'alter table orders add column a int; alter table orders alter column user_id type bigint',
    'alter table orders drop column a',
    'drop table orders',
  )
  const report = await dryRun(target, change)
  expect(report.ok).toBe(true)
  expect(report.rollbackLeaves).toMatchObject([
    { object: 'column public.orders.user_id', kind: 'changed', expected: 'integer', found: 'bigint' },
  ])
  expect(report.statements.map(({ file, position }) => `${file} ${position}`)).toEqual([
    'expand 1',
    'expand 2',
    'rollback 1',
    'contract 1',
  ])
  expect(report.statements[1]).toMatchObject({ rewrites: ['orders'], work: 'rewrite', blocking: true })
  expect(report.statements[1]?.inTheWay).toEqual([])
})

test('in the target a dry run leaves nothing, and gives up rather than wait', async () => {
  await database.pool.query(SCHEMA)
  const inTarget = { lockTimeoutMs: 50, budgetMs: 5_000 }
  const change = migration('alter table orders add column a int; create index concurrently x on orders (a)')
  const report = await dryRun(target, change, { inTarget })
  expect(report).toMatchObject({ ok: true, ran: 'in the target, rolled back' })
  expect(report.statements).toMatchObject([
    { seen: true, locks: [{ mode: 'ACCESS EXCLUSIVE', on: 'orders' }] },
    { seen: false },
  ])
  await expect(database.pool.query('select a from orders')).rejects.toThrow('does not exist')
  const holder = await database.pool.connect()
  try {
    await holder.query('begin; select from orders')
    const refused = await dryRun(target, change, { inTarget })
    expect(refused.statements[0]).toMatchObject({ error: expect.stringContaining('lock timeout') })
    expect(refused.ok).toBe(false)
  } finally {
    await holder.query('rollback')
    holder.release()
  }
})
