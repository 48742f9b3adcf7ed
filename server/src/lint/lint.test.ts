import { parseDefinition } from '@switchback/migrations-registry'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from './finding.ts'
import { lintMigration, lintSql } from './lint.ts'
import { rulePage, rulesIndex } from './rule-pages.ts'
import { RULES } from './rules/rules.ts'
import { loadParser } from './script.ts'
import { frame } from './text-report.ts'

beforeAll(() => loadParser())

const told = ({ rule, line, column }: Finding): string => `${rule} at ${line}:${column}`
const lint = async (sql: string, version = 14): Promise<readonly Finding[]> =>
  (await lintSql('a.sql', sql, version)).findings

describe('rules', () => {
  test('have ids of their own, and each a page that is current', async () => {
    expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length)
    for (const rule of RULES) {
      await expect(rulePage(rule)).toMatchFileSnapshot(`../../../docs/rules/${rule.id}.md`)
    }
    await expect(rulesIndex(RULES)).toMatchFileSnapshot('../../../docs/rules/README.md')
  })

  test.each(RULES.flatMap(({ id, bad }) => (bad === undefined ? [] : [{ id, bad }])))(
    'the bad example of $id is found',
    async ({ id, bad }) => {
      expect((await lint(bad)).map(({ rule }) => rule)).toContain(id)
    },
  )

  test.each(RULES.flatMap(({ id, good }) => (good === undefined ? [] : [{ id, good }])))(
    'the good example of $id is clean',
    async ({ good }) => {
      expect((await lint(good)).map(told)).toEqual([])
    },
  )
})

describe('a finding', () => {
  test('says which lock, what it blocks, the safe way and its page', async () => {
    const [found] = await lint('create index orders_user_id_idx on orders (user_id);')
    expect(found).toMatchObject({
      rule: 'create-index',
      severity: 'error',
      file: 'a.sql',
      lock: { mode: 'SHARE', on: 'orders', blocks: 'writes' },
      fix: 'create index CONCURRENTLY orders_user_id_idx on orders (user_id);',
      docs: 'docs/rules/create-index.md',
    })
  })

  test('stands where its words are, however many bytes the letters before them take', async () => {
    const sql = `-- Ü 漢字 😀\nselect 'ä漢😀'; alter table "Größe" add column "é😀" text, add column b uuid default gen_random_uuid();`
    const [found] = await lint(sql)
    const line = sql.split('\n')[1] ?? ''
    const at = [...line.slice(0, line.indexOf('gen_random_uuid'))].length + 1
    expect(found).toMatchObject({ rule: 'add-column-default', line: 2, column: at })
    expect(found?.endColumn).toBe(at + 'gen_random_uuid'.length)
    expect(found?.fix).toBe(
      'ALTER TABLE "Größe" ADD COLUMN "é😀" text, ADD COLUMN b uuid, ALTER COLUMN b SET default gen_random_uuid();',
    )
  })

  test('is underlined in its frame, wide letters counted twice', async () => {
    const sql = "select '漢';\n/* 漢 */ drop index i;\nselect 1;"
    const [found] = await lint(sql)
    const lines = sql.split('\n')
    expect(found === undefined ? [] : frame(found, (_file, line) => lines[line - 1])).toEqual([
      "  1 | select '漢';",
      '> 2 | /* 漢 */ drop index i;',
      '    |          ^^^^',
      '  3 | select 1;',
    ])
  })

  test.each([
    ["select 'é'; selec 1", 1, 13],
    ["select '😀';\n  é selec 1", 2, 3],
    ['create table a (id bigint', 1, 26],
  ])('is none where %s cannot be read; the place is told in letters', async (sql, line, column) => {
    const { findings, unreadable } = await lintSql('a.sql', sql, 14)
    expect(findings).toEqual([])
    expect(unreadable).toMatchObject([{ file: 'a.sql', line, column }])
  })

  test('is not missed behind a zero byte, where the parser would stop reading', async () => {
    const { unreadable } = await lintSql('a.sql', 'select 1;\0drop table users;', 14)
    expect(unreadable).toMatchObject([{ line: 1, column: 10, message: 'holds a zero byte' }])
  })

  test.each([
    ["alter table t add column c text default 'x';", 10, ['add-column-default']],
    ["alter table t add column c text default 'x';", 11, []],
    ['alter table p detach partition c;', 13, [null]],
    ['alter table p detach partition c;', 14, ['ALTER TABLE p DETACH PARTITION c CONCURRENTLY;']],
  ])('depends on the version: %s on %i', async (sql, version, expected) => {
    const findings = await lint(sql, version)
    const seen = expected.some((one) => one?.startsWith('ALTER') !== false)
      ? findings.map(({ fix }) => fix)
      : findings.map(({ rule }) => rule)
    expect(seen).toEqual(expected)
  })
})

describe('a migration folder', () => {
  const YAML = `
id: user-profiles
title: Profiles move
copy: { from: users, to: user_profiles, key: { user_id: id }, columns: { bio: "coalesce(bio, '')" } }
`
  interface Files {
    readonly expand: string
    readonly rollback?: string
    readonly contract?: string
    readonly yaml?: string
  }
  const EXPAND = 'create table user_profiles (user_id bigint primary key, bio text);'
  async function judge({ yaml = YAML, ...sql }: Files): Promise<readonly Finding[]> {
    const parsed = parseDefinition(yaml, 'migration.yaml')
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    const result = await lintMigration({ definition: parsed.definition, sql }, (file) => file, 14)
    expect(result.unreadable).toEqual([])
    return result.findings
  }
  const rulesOf = async (files: Files): Promise<readonly string[]> =>
    (await judge(files)).map(({ rule, file }) => `${file} ${rule}`)
  const ROLLBACK = 'drop table user_profiles;'

  test('is clean where expand adds, rollback undoes and contract drops what moved', async () => {
    const contract = 'alter table users drop column bio;'
    expect(await judge({ expand: EXPAND, rollback: ROLLBACK, contract })).toEqual([])
  })

  test.each([
    'alter table users drop column bio;',
    'alter table users rename column id to number;',
    'alter table users rename to people;',
    'drop table public.users;',
    'truncate users;',
  ])('may not take away in the expand what old uses: %s', async (sql) => {
    const rules = await rulesOf({ expand: `${EXPAND}\n${sql}`, rollback: ROLLBACK })
    expect(rules).toEqual(['expand.sql still-in-use'])
  })

  test('is judged by the general rule where the definition does not speak of the column', async () => {
    const rules = await rulesOf({
      expand: `${EXPAND}\nalter table users drop column age;`,
      rollback: ROLLBACK,
    })
    expect(rules).toEqual(['expand.sql drop-column'])
  })

  test.each([
    ['alter table user_profiles drop column bio;', 'still-in-use'],
    ['drop table user_profiles;', 'still-in-use'],
    ['alter table users drop column email;', 'contract-out-of-scope'],
    ['alter table users drop column id;', 'contract-out-of-scope'],
    ['drop table orders;', 'contract-out-of-scope'],
    ['drop view active_users;', 'contract-out-of-scope'],
    ['update orders set total = 0 where id = 1;', 'contract-out-of-scope'],
  ])('may in the contract only remove what moved: %s', async (contract, rule) => {
    expect(await rulesOf({ expand: EXPAND, rollback: ROLLBACK, contract })).toEqual([`contract.sql ${rule}`])
  })

  test('may drop the whole old table in its contract, and what the expand made for the time between', async () => {
    const expand = `${EXPAND}\ncreate table copied (id bigint primary key);`
    const rollback = `${ROLLBACK}\ndrop table copied;`
    expect(await judge({ expand, rollback, contract: 'drop table users;\ndrop table copied;' })).toEqual([])
  })

  test('has no contract where it has no copy', async () => {
    const yaml = 'id: an-index\ntitle: An index\n'
    const expand = 'create index concurrently orders_user_id_idx on orders (user_id);'
    const rollback = 'drop index concurrently orders_user_id_idx;'
    expect(await judge({ yaml, expand, rollback })).toEqual([])
    expect(await rulesOf({ yaml, expand, rollback, contract: 'select 1;' })).toEqual([
      'contract.sql contract-out-of-scope',
    ])
  })

  test.each([
    ['drop table users;', 'still-in-use'],
    ['alter table users drop column bio;', 'still-in-use'],
    ['drop table orders;', 'rollback-out-of-scope'],
    ['alter table orders drop column total;', 'rollback-out-of-scope'],
    ['drop view active_users;', 'rollback-out-of-scope'],
  ])('may in the rollback only remove what the expand made: %s', async (rollback, rule) => {
    expect(await rulesOf({ expand: EXPAND, rollback })).toEqual([`rollback.sql ${rule}`])
  })

  test('within one table: a column is renamed in two steps', async () => {
    const yaml =
      'id: full-name\ntitle: Name\ncopy: { from: users, to: users, key: { id: id }, columns: { full_name: name } }\n'
    const expand = 'alter table users add column full_name text;'
    const rollback = 'alter table users drop column full_name;'
    expect(await judge({ yaml, expand, rollback, contract: 'alter table users drop column name;' })).toEqual(
      [],
    )
    expect(
      await rulesOf({ yaml, expand, rollback, contract: 'alter table users drop column full_name;' }),
    ).toEqual(['contract.sql still-in-use'])
  })

  test('needs a way back, and is told one that is clean itself', async () => {
    const expand = `create type mood as enum ('good');
${EXPAND}
create index user_profiles_bio_idx on user_profiles (bio);
create index concurrently users_bio_idx on users (bio);
alter table users add column a text, add column b int;
alter table users add constraint bio_there check (bio is not null) not valid;`
    const findings = await judge({ expand })
    const missing = findings.find(({ rule }) => rule === 'missing-rollback')
    expect(missing).toMatchObject({ severity: 'error', file: 'expand.sql', line: 1, column: 1 })
    expect(missing?.fix).toBe(`ALTER TABLE users DROP CONSTRAINT bio_there, DROP COLUMN b, DROP COLUMN a;
DROP INDEX CONCURRENTLY users_bio_idx;
DROP TABLE user_profiles;
DROP TYPE mood;`)
    const rollback = missing?.fix ?? ''
    expect((await judge({ expand, rollback })).filter(({ file }) => file === 'rollback.sql')).toEqual([])
  })

  test('is not told a way back where the text does not say it', async () => {
    const findings = await judge({ expand: `${EXPAND}\nalter table users alter column bio set default 'x';` })
    expect(findings).toMatchObject([{ rule: 'missing-rollback', fix: null }])
  })
})
