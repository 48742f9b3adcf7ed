import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { loadMigrationFolder } from '../migrations-folder/load-migration-folder.ts'
import { runForTests } from './run-for-tests.ts'

let database: TestDatabase
let folder = ''
beforeAll(async () => {
  database = await testDatabase()
  await database.pool.query(`
    create domain public.rating as int check (value between 1 and 5);
    create table public.users (id int primary key, "fullName" varchar(80), bio text default 'none' not null,
      "order" json, stars public.rating, made timestamp not null default now(), doubled int generated always as (id * 2) stored);
    create table public.parts (shelf text, place bigserial, label text, primary key (shelf, place));
    create table public.loose (a int, b int)`)
})
afterAll(() => database.drop())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchback-new-'))
  return () => rm(folder, { recursive: true })
})

const switchback = (...args: string[]) => runForTests(args, { now: () => Date.UTC(2026, 10, 28) })
const make = (...args: string[]) => switchback('new', ...args, '--in', folder)
const profiles = ['user-profiles', '--from', 'users', '--to', 'user_profiles']
const written = async (id = 'user-profiles') => {
  const path = join(folder, `2026-11-${id}`)
  const loaded = await loadMigrationFolder(path)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return { path, ...loaded.migration }
}
/** As a person would look at it: neither errors nor warnings. */
async function lintsClean(path: string): Promise<void> {
  expect((await switchback('validate', path)).code).toBe(0)
  expect(await switchback('lint', path)).toMatchObject({ code: 0, out: '0 errors, 0 warnings in 1 place\n' })
}
/** Types of a table that the expand makes in the database, where the rollback removes it again. */
async function tried(sql: { expand: string; rollback?: string }, table: string): Promise<readonly string[]> {
  const client = await database.pool.connect()
  try {
    await client.query('set search_path to public')
    await client.query(sql.expand)
    const { rows } = await client.query<{ column: string }>(
      `select a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
         || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as column
       from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
       where a.attrelid = $1::regclass and a.attnum > 0 order by a.attnum`,
      [table],
    )
    await client.query(sql.rollback ?? '')
    return rows.map(({ column }) => column)
  } finally {
    client.release()
  }
}

test('from options alone: a folder that is valid, lints clean, and makes a table of the same types', async () => {
  const made = await make(
    ...profiles,
    '--key',
    'user_id=id',
    '--columns',
    'bio,order,score=coalesce(stars, 3)',
  )
  expect(made).toMatchObject({ code: 0, err: '' })
  expect(made.out).toContain('switchback migrations register')
  const { path, definition, sql } = await written()
  await lintsClean(path)
  expect(definition).toMatchObject({
    id: 'user-profiles',
    target: 'main',
    copy: {
      from: 'users',
      to: 'user_profiles',
      key: { user_id: 'id' },
      columns: { bio: 'bio', order: '"order"', score: 'coalesce(stars, 3)' },
    },
  })
  expect(await tried(sql, 'user_profiles')).toEqual([
    'user_id integer not null',
    'bio text',
    'order json',
    'score integer',
  ])
  // What an expression is made of may be used elsewhere: only columns that move as they are go.
  expect(sql.contract).toBe('alter table users\n  drop column bio,\n  drop column "order";\n')
})

test('with the catalog: types, defaults and the primary key come from there, and everything else moves', async () => {
  const args = [
    ...profiles,
    '--target',
    database.url,
    '--app',
    'rides-api',
    '--target-name',
    'rides',
    '--json',
  ]
  const made = await make(...args)
  expect(made).toMatchObject({ code: 0, err: '' })
  const { path, definition, sql, source } = await written()
  expect(JSON.parse(made.out)).toEqual({
    id: 'user-profiles',
    folder: path,
    files: ['migration.yaml', 'expand.sql', 'rollback.sql', 'contract.sql'],
  })
  await lintsClean(path)
  expect(definition).toMatchObject({ target: 'rides', apps: ['rides-api'] })
  expect(source).toContain('TARGET_RIDES_URL')
  expect(definition.copy?.columns).toEqual({
    fullName: '"fullName"',
    bio: 'bio',
    order: '"order"',
    stars: 'stars',
    made: 'made',
  })
  expect(await tried(sql, 'user_profiles')).toEqual([
    'id integer not null',
    'fullName character varying(80)',
    "bio text not null default 'none'::text",
    'order json',
    'stars rating',
    'made timestamp without time zone not null default now()',
  ])
  expect(sql.expand).toContain('-- switchback:allow small-key because it is so in users')
  // One column is left, which is generated: the table itself stays.
  expect(sql.contract).toContain('alter table users')
})

test('a key of several columns, and a whole table that moves', async () => {
  const made = await make('parts-moved', '--from', 'parts', '--to', 'places', '--target', database.url)
  expect(made).toMatchObject({ code: 0, err: '' })
  const { path, sql } = await written('parts-moved')
  await lintsClean(path)
  expect(await tried(sql, 'places')).toEqual(['shelf text not null', 'place bigint not null', 'label text'])
  expect(sql.contract).toBe('drop table parts;\n')
})

test('a change without paths has room for its SQL, and nothing to copy', async () => {
  expect(await make('faster-search', '--schema-only', '--title', 'yes: no')).toMatchObject({ code: 0 })
  const { path, definition } = await written('faster-search')
  await lintsClean(path)
  expect(definition.title).toBe('yes: no')
  expect(definition.copy).toBeUndefined()
})

test('nothing is overwritten', async () => {
  const args = [...profiles, '--key', 'user_id=id', '--columns', 'bio']
  await make(...args)
  const before = await readFile(join(folder, '2026-11-user-profiles', 'migration.yaml'), 'utf8')
  expect(await make(...args, '--title', 'Other')).toMatchObject({
    code: 2,
    err: expect.stringContaining('has the id user-profiles already'),
  })
  await rm(join(folder, '2026-11-user-profiles', 'migration.yaml'))
  expect(await make(...args)).toMatchObject({
    code: 2,
    err: expect.stringContaining('is there already; nothing is overwritten'),
  })
  expect(before).toContain('Columns of users move to user_profiles')
})

test.each([
  ['no id', ['User Profiles', '--schema-only'], 'is no id'],
  ['no tables', ['m'], 'say --from and --to'],
  ['no columns', ['m', '--from', 'a', '--to', 'b'], 'say --key and --columns, or --target'],
  ['one table', ['m', '--from', 'a', '--to', 'a'], 'docs/examples/rename-column'],
  ['no table name', ['m', '--from', 'a;b', '--to', 'c'], 'is no table name'],
  [
    'no SQL',
    ['m', '--from', 'a', '--to', 'b', '--key', 'id', '--columns', 'x=1) from y; drop table z; select (1'],
    'is not an SQL expression',
  ],
  [
    'a column twice',
    ['m', '--from', 'a', '--to', 'b', '--key', 'id', '--columns', 'x,x'],
    'the column x is named twice',
  ],
  [
    'a column of the key',
    ['m', '--from', 'a', '--to', 'b', '--key', 'id', '--columns', 'id'],
    'is in --key and in --columns',
  ],
])('%s is refused with what to do, and nothing is written', async (_, args, message) => {
  const { code, err } = await make(...args)
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(await readdir(folder)).toEqual([])
})

test.each([
  ['there is no such table', ['--from', 'nobody', '--to', 'x'], 'there is no table nobody in the target'],
  [
    'new is there already',
    ['--from', 'users', '--to', 'parts'],
    'there is a table parts in the target already',
  ],
  [
    'there is no such column',
    ['--from', 'users', '--to', 'x', '--columns', 'nick'],
    'users has no column nick',
  ],
  ['there is no key', ['--from', 'loose', '--to', 'x'], 'loose has no primary key'],
  [
    'an expression is wrong',
    ['--from', 'users', '--to', 'x', '--columns', 'y=bio + 1'],
    'the target did not answer: operator does not exist',
  ],
])('where %s in the catalog, it says so', async (_, args, message) => {
  const { code, err } = await make('m', ...args, '--target', database.url)
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(await readdir(folder)).toEqual([])
})
