import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nameOf } from '../catalog/catalog.ts'
import { readCatalog } from '../catalog/read-catalog.ts'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import { createTarget } from '../target/target.ts'

let database: TestDatabase
let execution: Execution
let pool: pg.Pool
let archiveDir: string

const definition = definitionSchema.parse({
  id: 'profiles',
  title: 'x',
  copy: { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio', tags: 'tags' } },
})
const order = (contract: string, more: Partial<WorkOrder> = {}): WorkOrder => ({
  definition,
  sql: { expand: '', contract },
  epoch: 9,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
  ...more,
})
const DROP = 'alter table users drop column bio, drop column tags'

beforeEach(async () => {
  database = await testDatabase()
  pool = database.pool
  // The role of the test server is named like our schema, which "$user" would find first.
  pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  archiveDir = await mkdtemp(join(tmpdir(), 'switchback-archive-'))
  execution = createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir,
    clock: Date.now,
  })
  await execution.prepare('profiles')
  await pool.query(`
    create table users (id serial primary key, name text not null, bio text, tags text[] not null default '{}');
    create index users_bio on users (bio);
    create table profiles (user_id int primary key, bio text, tags text[]);
    insert into users (name, bio, tags)
      select 'user ' || i, case i % 3 when 0 then null when 1 then '' else E'line\\n"' || i || '", é' end,
             array['a,b', null, i::text] from generate_series(1, 300) i;
    insert into profiles select id, bio, tags from users`)
})
afterEach(async () => {
  await execution.end()
  await database.drop()
  await rm(archiveDir, { recursive: true, force: true })
})

const all = async (table = 'users'): Promise<unknown[]> =>
  (await pool.query(`select * from ${table} order by 1`)).rows
const columns = async (): Promise<string[]> =>
  (
    await pool.query(
      `select attname from pg_attribute where attrelid = 'users'::regclass and attnum > 0 and not attisdropped`,
    )
  ).rows.map(({ attname }) => attname)

test('what goes is archived and proven before it goes, and restore brings it back', async () => {
  const before = await all()
  let atCommit: string[] = []
  const outcome = await execution.run(
    'contract',
    order(DROP, {
      committing: async () => {
        atCommit = [...(await columns()), ...(await readdir(join(archiveDir, 'profiles', 'epoch-9')))]
      },
    }),
  )
  expect(atCommit).toEqual(['id', 'name', 'bio', 'tags', 'manifest.json', 'public.users.csv.gz'])
  expect(await columns()).toEqual(['id', 'name'])
  expect(outcome.detail).toMatchObject({ tables: [{ name: 'users', rows: 300 }] })
  const csv = gunzipSync(
    await readFile(join(archiveDir, 'profiles', 'epoch-9', 'public.users.csv.gz')),
  ).toString()
  expect(
    csv.startsWith('id,bio,tags\n1,"","{""a,b"",NULL,1}"\n2,"line\n""2"", é","{""a,b"",NULL,2}"\n3,,'),
  ).toBe(true)

  // Life goes on: a row is renamed, one goes, one comes.
  await pool.query(
    `update users set name = 'renamed' where id = 1; delete from users where id = 2; insert into users (name) values ('late')`,
  )
  const restored = await execution.run('restore', order(DROP, { epoch: 10 }))
  expect(restored.detail).toMatchObject({ rows: 299 })
  const expected = (before as { id: number; name: string }[])
    .filter(({ id }) => id !== 2)
    .map((row) => (row.id === 1 ? { ...row, name: 'renamed' } : row))
  expect(await all()).toEqual([...expected, { id: 301, name: 'late', bio: null, tags: [] }])
  expect(
    (await pool.query(`select indisvalid from pg_index where indexrelid = to_regclass('users_bio')`))
      .rowCount,
  ).toBe(1)

  // Its report was lost: once more does not undo what was written since.
  await pool.query(`update users set bio = 'written since' where id = 1`)
  await execution.run('restore', order(DROP, { epoch: 10 }))
  expect((await pool.query('select bio from users where id = 1')).rows).toEqual([{ bio: 'written since' }])

  // And contract may run again, with an archive of its own.
  await execution.run('contract', order(DROP, { epoch: 12 }))
  expect(await columns()).toEqual(['id', 'name'])
  await execution.run('restore', order(DROP, { epoch: 13 }))
  expect((await pool.query('select bio from users where id = 1')).rows).toEqual([{ bio: 'written since' }])
})

test('a whole table comes back with its keys, constraints, indexes and numbering', async () => {
  await pool.query(
    'alter table users add check (id > 0); create table log (line text); insert into log values (1), (1)',
  )
  const before = await all()
  const contract = 'drop table users; drop table log'
  await execution.run('contract', order(contract))
  expect((await pool.query(`select to_regclass('users') as t`)).rows).toEqual([{ t: null }])
  await pool.query('delete from profiles where user_id = 5')
  await execution.run('restore', order(contract, { epoch: 10 }))
  expect(await all()).toEqual((before as { id: number }[]).filter(({ id }) => id !== 5))
  expect(await all('log')).toEqual([{ line: '1' }, { line: '1' }])
  expect((await pool.query(`insert into users (name) values ('next') returning id`)).rows).toEqual([
    { id: 301 },
  ])
  await expect(pool.query(`insert into users (id, name) values (-1, 'x')`)).rejects.toThrow('check')
  await expect(pool.query(`insert into users (id, name) values (1, 'x')`)).rejects.toThrow('users_pkey')
})

test('dependents that contract.sql does not drop itself block it, and are named', async () => {
  await pool.query(`
    create view bios as select bio from users;
    create materialized view tagged as select id from users where tags <> '{}';
    create function longest() returns int language sql begin atomic select max(length(bio)) from users; end;
    alter table users add bio_length int generated always as (length(bio)) stored;
    alter table users enable row level security;
    create policy own_bio on users using (bio is not null);
    create table pets (owner int references users (id))`)
  const failed = await execution.run('contract', order(DROP)).catch((error: Error) => error.message)
  for (const name of [
    'view bios',
    'materialized view tagged',
    'function longest()',
    'bio_length',
    'policy own_bio',
  ])
    expect(failed).toContain(name)
  expect(failed).not.toContain('pets')
  expect(await columns()).toContain('bio')
  expect(await readdir(archiveDir)).toEqual([])
  const table = await execution
    .run('contract', order('drop table users'))
    .catch((error: Error) => error.message)
  expect(table).toContain('pets_owner_fkey')
  expect(table).not.toContain('policy')
  // Dropping them first is the way.
  await execution.run(
    'contract',
    order(`drop view bios; drop materialized view tagged; drop function longest(); drop policy own_bio on users;
      alter table users drop column bio_length; ${DROP}`),
  )
  expect(await columns()).toEqual(['id', 'name'])
})

test.each([
  ['a view', 'create view v as select bio from users', 'view v'],
  ['a materialized view', 'create materialized view v as select bio from users', 'materialized view v'],
  ['a generated column', 'alter table users add n int generated always as (length(bio)) stored', 'column n'],
  [
    'an index that covers what stays',
    'create index shared on users (name, bio)',
    'index shared covers name too',
  ],
  [
    'a unique constraint that covers what stays',
    'alter table users add unique (name, bio)',
    'users_name_bio_key covers name',
  ],
  [
    'a trigger on the column',
    'create trigger t before update of bio on users for each row execute function touch()',
    'trigger t on table users',
  ],
  [
    'a publication of the column',
    'create publication p for table users (id, bio)',
    'publication of table users in publication p',
  ],
  [
    'a function that names it',
    'create function f(int) returns text language plpgsql as $$ begin return (select bio from users where id = $1); end $$',
    'function f(integer) uses bio, tags of users in its body',
  ],
  [
    'a function whose body is SQL, by the catalog',
    'create function f() returns text begin atomic select max(bio) from users; end',
    'function f() depends on bio, tags of users',
  ],
  [
    'a function of text in SQL',
    "create function f() returns void language sql as 'update public.users set bio = null'",
    'function f() uses bio, tags of users in its body',
  ],
  [
    'a variable of the type of the column',
    'create function f() returns void language plpgsql as $$ declare x users.bio%type; begin end $$',
    'function f() uses bio, tags of users in its body',
  ],
  [
    'an assignment',
    'create function f() returns text language plpgsql as $$ declare x text; begin x := (select u.bio from users u limit 1); return x; end $$',
    'function f() uses bio, tags of users in its body',
  ],
  [
    'a function that takes all columns',
    'create function f() returns void language plpgsql as $$ declare r record; begin select * into r from users; end $$',
    'function f() may use bio, tags of users: it takes all columns',
  ],
  [
    'text that is put together',
    "create function f() returns void language plpgsql as $$ begin execute 'update users set bio = null'; end $$",
    'function f() may use bio, tags of users: it runs text that it puts together',
  ],
  [
    'the function of a trigger',
    "create function audit() returns trigger language plpgsql as $$ begin new.bio = ''; return new; end $$; create trigger t before insert on users for each row execute function audit()",
    'function audit() uses bio',
  ],
  [
    'a foreign key',
    'alter table users add unique (tags); create table pets (tags text[] references users (tags))',
    'pets_tags_fkey',
  ],
  ['a policy', 'create policy own on users using (bio is not null)', 'policy own'],
])('%s depends on what goes, and blocks', async (_, sql, named) => {
  await pool.query(
    `create function touch() returns trigger language plpgsql as $$ begin return new; end $$; ${sql}`,
  )
  const failed = await execution.run('contract', order(DROP)).catch((error: Error) => error.message)
  expect(failed).toContain('nothing was dropped')
  expect(failed).toContain(named)
  expect(await columns()).toContain('bio')
})

test('a function that only mentions what goes, or means another of the same name, holds up nothing', async () => {
  await pool.query(`create schema other; create table other.users (bio text);
    create function f() returns int language plpgsql as $$
      begin -- formerly: select bio from users
        raise notice 'bio of users'; return (select count(*) from other.users where bio is null); end $$;
    create function g() returns text language sql as 'select name /* not bio */ from users'`)
  await execution.run('contract', order(DROP))
  expect(await columns()).not.toContain('bio')
})

test('a table that goes blocks where a publication or a foreign key would lose it; dropped first, it goes', async () => {
  await pool.query(`create publication p for table users, profiles;
    create function count_users() returns int language sql as 'select count(*)::int from users'`)
  const failed = await execution
    .run('contract', order('drop table users'))
    .catch((error: Error) => error.message)
  expect(failed).toContain('publication of table users in publication p')
  expect(failed).toContain('function count_users() uses table users')
  const unaffected = definitionSchema.parse({
    ...{ id: 'profiles', title: 'x' },
    contract: { unaffected: ['count_users()'] },
  })
  await execution.run(
    'contract',
    order('alter publication p drop table users; drop table users', { definition: unaffected }),
  )
  expect((await pool.query(`select to_regclass('users') as t`)).rows).toEqual([{ t: null }])
})

test('what changes between archive and drop is archived anew before it goes', async () => {
  let compared = 0
  await execution.run(
    'contract',
    order(DROP, {
      report: ({ stage }) => {
        if (stage !== 'comparing the archive of users' || compared++ > 0) return
        // Done before the comparison begins, which this call is right before.
        const change = `import pg from 'pg'
          const client = new pg.Client(process.argv[1])
          await client.connect()
          await client.query("update public.users set bio = 'at the last moment' where id = 2")
          await client.end()`
        const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', change, database.url])
        expect(status).toBe(0)
      },
    }),
  )
  expect(compared).toBeGreaterThan(1)
  expect(await columns()).toEqual(['id', 'name'])
  await execution.run('restore', order(DROP, { epoch: 10 }))
  expect((await pool.query('select bio from users where id = 2')).rows).toEqual([
    { bio: 'at the last moment' },
  ])
})

test.each([
  ['a table', 'drop table gone', 'gone'],
  ['a column', 'alter table gone drop column note', 'gone'],
])(
  '%s that comes back has its owner, privileges, policies, triggers and comments',
  async (_, drop, table) => {
    const role = `archive_${randomBytes(4).toString('hex')}`
    const target = createTarget({ url: database.url, name: 'test', onIdleError: () => undefined })
    const said = async () =>
      (await readCatalog(target))
        .filter(({ relation, kind }) => relation === table && kind !== 'column' && kind !== 'table')
        .map((object) => `${nameOf(object)}: ${object.definition}`)
    try {
      await pool.query(`create role ${role}; create role ${role}_gone; create role ${role}_reader;
      create table gone (id int primary key, note text, by text);
      insert into gone values (1, 'n', 'b');
      create function public.seen() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger seen before insert on gone for each row execute function public.seen();
      create trigger off before insert on gone for each row execute function public.seen();
      alter table gone disable trigger off;
      alter table gone enable row level security;
      create policy own on gone for select to ${role} using (id > 0);
      grant select on gone to ${role}_reader; grant update (note) on gone to ${role} with grant option;
      grant insert on gone to ${role}_gone;
      comment on table gone is 'it''s gone'; comment on column gone.note is 'a note';
      alter table gone owner to ${role}`)
      const before = await said()
      await execution.run('contract', order(drop))
      expect(await said()).not.toEqual(before)
      // Who is gone is passed over; the rest comes back.
      await pool.query(`drop owned by ${role}_gone; drop role ${role}_gone`)
      await execution.run('restore', order(drop, { epoch: 10 }))
      const withoutGone = before.map((line) =>
        line.replace(`grant insert on table public.gone to ${role}_gone; `, ''),
      )
      expect(withoutGone).not.toEqual(before)
      expect(await said()).toEqual(withoutGone)
      expect((await pool.query('select * from gone')).rows).toEqual([{ id: 1, note: 'n', by: 'b' }])
    } finally {
      await pool.query(
        `drop table if exists gone; drop owned by ${role}, ${role}_reader; drop role ${role}, ${role}_reader`,
      )
      await target.end()
    }
  },
)

test('called off before the first drop, nothing is dropped; begun, it is finished with the archive from before', async () => {
  const contract = `create table marker (); ${DROP}; select 1 / (select count(*) from gate)`
  await pool.query('create table gate (x int)')
  await expect(
    execution.run(
      'contract',
      order(contract, {
        committing: async () => {
          throw new Error('the migration has moved on')
        },
      }),
    ),
  ).rejects.toThrow('moved on')
  expect(await columns()).toContain('bio')
  await expect(execution.run('contract', order(contract))).rejects.toThrow('division by zero')
  expect(await columns()).toEqual(['id', 'name'])
  const manifest = await readFile(join(archiveDir, 'profiles', 'epoch-9', 'manifest.json'), 'utf8')
  await pool.query('insert into gate values (1)')
  expect((await execution.run('contract', order(contract))).detail).toMatchObject({
    statements: 1,
    appliedBefore: 2,
  })
  expect(await readFile(join(archiveDir, 'profiles', 'epoch-9', 'manifest.json'), 'utf8')).toBe(manifest)
})

test('a damaged archive is found before the schema is touched, a missing one before anything more is dropped', async () => {
  await execution.run('contract', order(DROP))
  const path = join(archiveDir, 'profiles', 'epoch-9', 'public.users.csv.gz')
  const whole = await readFile(path)
  await writeFile(path, whole.subarray(0, whole.length - 20))
  await expect(execution.run('restore', order(DROP, { epoch: 10 }))).rejects.toMatchObject({
    code: 'archive-failed',
  })
  expect(await columns()).toEqual(['id', 'name'])
  await writeFile(path, whole)
  await execution.run('restore', order(DROP, { epoch: 10 }))
  expect(await columns()).toEqual(['id', 'name', 'bio', 'tags'])
})
