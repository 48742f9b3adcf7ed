import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCli } from './cli.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchback-lint-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function write(name: string, text: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
  return path
}

async function lint(...args: readonly string[]) {
  let out = ''
  let err = ''
  const terminal = {
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    },
    isTty: false,
    env: {},
    now: Date.now,
    fetch,
  }
  const never = async () => 0
  const code = await runCli(['lint', ...args], { terminal, version: '1.2.3', serve: never, worker: never })
  return { code, out, err }
}

const BAD = '-- é\ncreate index on users (email);\n'

describe('exit codes', () => {
  test('0 where nothing is found', async () => {
    const { code, out } = await lint(await write('a.sql', 'alter table users add column region text;'))
    expect({ code, out }).toEqual({ code: 0, out: '0 errors, 0 warnings in 1 place\n' })
  })

  test('0 where there are warnings alone', async () => {
    const { code, out } = await lint(
      await write('a.sql', 'alter table users alter column name drop not null;'),
    )
    expect(code).toBe(0)
    expect(out).toContain('warning drop-not-null')
  })

  test('1 where there is an error', async () => {
    expect((await lint(await write('a.sql', BAD))).code).toBe(1)
  })

  test.each([
    ['a.sql', 'select 1;\nselec 2;', /a\.sql:2:1 syntax error at or near "selec"/],
    ['b.sql', Uint8Array.of(0xff, 0xfe, 0x00), /not UTF-8 text/],
    ['m/migration.yaml', 'id: 5\n', /migration\.yaml:1:\d+ id/],
  ])('2 where %s cannot be read, and the others are judged', async (name, text, message) => {
    const bad = await write('c.sql', BAD)
    const { code, out, err } = await lint(dirname(await write(name, text)), bad)
    expect(code).toBe(2)
    expect(err).toMatch(message)
    expect(out).toContain('create-index')
  })

  test('2 where nothing is there, or nothing to judge', async () => {
    const missing = await lint(join(folder, 'no.sql'))
    expect(missing.err).toMatch(/no such file/)
    const empty = await lint(folder)
    expect(empty.err).toMatch(/neither a migration nor an \.sql file/)
    expect([missing.code, empty.code]).toEqual([2, 2])
    expect((await lint()).code).toBe(2)
    expect((await lint(await write('a.sql', ''), '--pg-version', 'new')).code).toBe(2)
    expect((await lint(await write('a.sql', ''), '--format', 'xml')).code).toBe(2)
  })
})

describe('formats', () => {
  test('text has a code frame, the lock, the safe way and the page', async () => {
    const path = await write('a.sql', BAD)
    expect((await lint(path)).out).toBe(`${path}:2:1 error create-index
  Nobody writes to users until the index is built.

    1 | -- é
  > 2 | create index on users (email);
      | ^^^^^^
    3 |
  lock  SHARE on users: blocks writes
  safe
    create index CONCURRENTLY users_email_idx on users (email);
  see   docs/rules/create-index.md

1 error, 0 warnings in 1 place
`)
  })

  test('json has the findings and what could not be read', async () => {
    const path = await write('a.sql', BAD)
    const { out } = await lint(path, join(folder, 'no.sql'), '--json')
    const report = JSON.parse(out)
    expect(report.findings).toMatchObject([
      {
        rule: 'create-index',
        severity: 'error',
        file: path,
        line: 2,
        column: 1,
        message: 'Nobody writes to users until the index is built.',
        fix: 'create index CONCURRENTLY users_email_idx on users (email);',
      },
    ])
    expect(report.unreadable).toHaveLength(1)
  })

  test('github writes annotations whose text stays on one line', async () => {
    const path = await write('50%,a.sql', BAD)
    const { out } = await lint(path, '--format', 'github')
    const file = path.replace('50%,a.sql', '50%25%2Ca.sql')
    expect(out).toBe(
      `::error file=${file},line=2,endLine=2,col=1,endColumn=7,title=create-index::Nobody writes to users until the index is built.%0ALock: SHARE on users, blocks writes.%0ASafe:%0Acreate index CONCURRENTLY users_email_idx on users (email);%0ASee docs/rules/create-index.md\n`,
    )
  })

  test('sarif names its rules and points to places that are there', async () => {
    const path = await write('ä b.sql', BAD)
    const { out } = await lint(path, await write('c.sql', 'selec'), '--format', 'sarif')
    const { version, runs } = JSON.parse(out)
    expect(version).toBe('2.1.0')
    const [run] = runs
    const rules: readonly { id: string; defaultConfiguration: { level: string } }[] = run.tool.driver.rules
    expect(run.tool.driver).toMatchObject({ name: 'switchback lint', version: '1.2.3' })
    expect(run.columnKind).toBe('unicodeCodePoints')
    const [result] = run.results
    expect(rules[result.ruleIndex]).toMatchObject({
      id: result.ruleId,
      defaultConfiguration: { level: result.level },
    })
    const { artifactLocation, region } = result.locations[0].physicalLocation
    expect(artifactLocation.uri).toMatch(/^file:\/\/.*%C3%A4%20b\.sql$/)
    expect(region).toEqual({ startLine: 2, startColumn: 1, endLine: 2, endColumn: 7 })
    expect(result.message.text).toContain('CONCURRENTLY')
    expect(run.invocations).toMatchObject([
      { executionSuccessful: false, toolExecutionNotifications: [{ level: 'error' }] },
    ])
  })

  test('no control character of a file reaches the terminal', async () => {
    const { out } = await lint(await write('a.sql', 'drop table "a\u001b[31mb";'))
    expect(out).toContain('drop-table')
    expect(out).not.toContain('\u001b')
  })
})

test('a folder is searched: migrations by their parts, loose files as expands, nothing hidden', async () => {
  await write('db/2026/migration.yaml', 'id: a-thing\ntitle: A thing\n')
  await write('db/2026/expand.sql', 'create table things (id bigint primary key);')
  await write('db/loose.sql', 'drop table users;')
  await write('db/.git/x.sql', 'selec')
  await write('db/node_modules/x/x.sql', 'selec')
  await write('db/notes.txt', 'selec')
  const { code, out } = await lint(join(folder, 'db'), '--json')
  const { findings, unreadable } = JSON.parse(out)
  expect(code).toBe(1)
  expect(unreadable).toEqual([])
  expect(findings.map(({ file, rule }: { file: string; rule: string }) => [file, rule])).toEqual([
    [join(folder, 'db/2026/expand.sql'), 'missing-rollback'],
    [join(folder, 'db/loose.sql'), 'drop-table'],
  ])
})

test('what is allowed depends on the version asked for', async () => {
  const path = await write('a.sql', "alter table users add column plan text default 'free';")
  expect((await lint(path)).code).toBe(0)
  expect((await lint(path, '--pg-version', '10.4')).code).toBe(1)
})
