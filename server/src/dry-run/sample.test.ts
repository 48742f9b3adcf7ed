import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readCatalog } from '../catalog/read-catalog.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import { createTarget, type Target } from '../target/target.ts'
import { type DryRun, dryRun } from './dry-run.ts'
import { referencesIn } from './references.ts'
import { rehearse } from './rehearse.ts'
import { copySample, SAMPLE_LIMITS } from './sample.ts'
import { onScratchCopy, readRoles, type Scratch } from './scratch.ts'

let database: TestDatabase
let target: Target

beforeAll(async () => {
  database = await testDatabase()
  target = createTarget({ url: database.url, name: 'test', onIdleError: () => undefined })
  await database.pool.query(`
    create schema "Shop";
    create table public.regions (id int primary key, name text);
    create table public.users (id int generated always as identity primary key, name text, age text, email text,
      region int references public.regions (id), twice int generated always as (id) stored,
      constraint short check (length(name) < 5) not valid);
    alter table public.users drop constraint short;
    create table "Shop"."Größe" (id int primary key, user_id int, boss int references "Shop"."Größe" (id));
    create table public.parts (id int, note text) partition by range (id);
    create table public.parts_1 partition of public.parts for values from (0) to (1000);
    create table public.parts_2 partition of public.parts for values from (1000) to (9000);
    create table public.quiet (id int primary key);
    insert into public.regions select i, 'r' from generate_series(1, 50) i;
    insert into public.users (name, age, email, region)
      select 'long name ' || i, case i when 77 then 'n/a' else i::text end, 'u' || i % 900 || '@x', 1 + i % 50
      from generate_series(1, 1000) i;
    update public.users set name = null where id = 5;
    alter table public.users add constraint short check (length(name) < 5) not valid;
    insert into "Shop"."Größe" select i, case when i = 40 then 5000 else i end, greatest(1, i - 1) from generate_series(1, 60) i;
    insert into public.parts select i, 'p' from generate_series(1, 3000) i;
    analyze`)
})
afterAll(async () => {
  await target.end()
  await database.drop()
})

const TABLES = ['users', 'Shop.Größe', 'parts_2', 'nothing']

async function onSample<T>(sql: string, rows: number, work: (scratch: Scratch) => Promise<T>): Promise<T> {
  const statements = await parseSql(sql, 'expand.sql')
  const references = statements.flatMap(({ node }) => referencesIn(node))
  const original = { catalog: await readCatalog(target), roles: await readRoles(target) }
  return onScratchCopy(original, async (scratch) => {
    expect(scratch.notCopied).toEqual([])
    const limits = { ...SAMPLE_LIMITS, rows }
    const sample = await copySample(target, scratch.target, new Set(TABLES), references, limits)
    expect(sample.notSampled).toEqual([])
    return work(scratch)
  })
}

test('what the data refuses shows on sampled rows, and what it allows does not', async () => {
  const cases = [
    ['alter table users alter column name set not null', /column "name" .* contains null values/],
    [
      'create unique index concurrently users_email on users (email)',
      /duplicated|duplicate|could not create unique/,
    ],
    [
      'alter table users alter column age type int using age::int',
      /invalid input syntax for type integer: "n\/a"/,
    ],
    ['alter table users validate constraint short', /check constraint "short" .* is violated/],
    ['alter table users add check (id < 900)', /is violated by some row/],
    [
      'alter table "Shop"."Größe" add foreign key (user_id) references users',
      /violates foreign key constraint/,
    ],
    ['alter table users add foreign key (region) references regions (id)', undefined],
    ['alter table "Shop"."Größe" add check (id > 0)', undefined],
    ['alter table parts add check (id < 3001)', undefined],
    ['alter table users alter column email set not null', undefined],
    ['alter table users add column plan text not null default $$free$$', undefined],
    ['alter table users add column must text not null', /contains null values/],
  ] as const
  await onSample(cases.map(([sql]) => sql).join(';'), 5000, async ({ target: scratch }) => {
    for (const [sql, refused] of cases) {
      const [statement] = await parseSql(sql, 'expand.sql')
      if (statement === undefined) throw new Error('no statement')
      const { error } = await rehearse(scratch, statement, [])
      if (refused === undefined) expect(error, sql).toBeUndefined()
      else expect(error, sql).toMatch(refused)
    }
    const counts = await scratch.query<{ name: string; rows: number }>(
      `select 'users' as name, count(*) as rows from users union all select 'parts', count(*) from parts
       union all select 'quiet', count(*) from quiet order by 1`,
    )
    expect(counts.rows).toEqual([
      { name: 'parts', rows: 3000 },
      // Nobody touches it.
      { name: 'quiet', rows: 0 },
      { name: 'users', rows: 1000 },
    ])
  })
})

test('a part of a table brings the rows that it refers to, so that no key is missing that is there', async () => {
  const sql = 'alter table "Shop"."Größe" add foreign key (boss) references "Shop"."Größe" (id)'
  await onSample(sql, 7, async ({ target: scratch }) => {
    const { rows } = await scratch.query<{ users: number; missing: number }>(
      `select (select count(*) from users) as users,
              (select count(*) from users u where not exists (select from regions where id = u.region)) as missing`,
    )
    expect(rows).toEqual([{ users: 7, missing: 0 }])
    const again = await parseSql(
      'alter table users add foreign key (region) references regions (id)',
      'x.sql',
    )
    expect((await rehearse(scratch, again[0] as (typeof again)[number], [])).error).toBeUndefined()
  })
})

const definition = definitionSchema.parse({
  id: 'ages',
  title: 'x',
  copy: { from: 'users', to: 'ages', key: { user_id: 'id' }, columns: { age: 'age::int' } },
})
const files = {
  expand: 'create table ages (user_id int primary key, age int)',
  rollback: 'drop table ages',
  contract: 'alter table ages alter column age set not null; alter table users drop column age',
}
const run = (sampleRows: number): Promise<DryRun> =>
  dryRun(target, { definition, sql: files }, { sampleRows })

test('a dry run copies the sampled rows as the backfill would, and names the row that cannot be copied', async () => {
  const stages: string[] = []
  const report = await dryRun(
    target,
    { definition, sql: files },
    { sampleRows: 5000, onStage: (stage) => stages.push(stage) },
  )
  expect(report.copy).toEqual({
    copied: 999,
    failed: [{ key: '77', error: 'invalid input syntax for type integer: "n/a"' }],
  })
  expect(report.sample).toEqual({
    tables: [{ table: 'users', rows: 1000 }, expect.objectContaining({ table: 'regions' })],
    notSampled: [],
  })
  expect(report.ok).toBe(false)
  // Without the row at fault the new table is as contract.sql expects it.
  expect(report.statements.map(({ file, error }) => [file, error])).toEqual([
    ['expand', undefined],
    ['rollback', undefined],
    ['contract', undefined],
    ['contract', undefined],
  ])
  expect(stages).toContain('copying the sampled rows from old to new')
})

test('without a sample no row leaves the target, and nothing is said of the data', async () => {
  const report = await run(0)
  expect(report.sample).toBeUndefined()
  expect(report.copy).toBeUndefined()
  expect(report.ok).toBe(true)
})
