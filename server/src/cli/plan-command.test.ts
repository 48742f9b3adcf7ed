import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCli } from './cli.ts'

let folder: string
let database: TestDatabase

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchback-plan-'))
  database = await testDatabase()
})
afterEach(async () => {
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(folder, 'm'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, 'm', name), text)
}

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
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
  return { code: await runCli(args, { terminal, version: '1', serve: never, worker: never }), out, err }
}

const PATHS = `id: profiles
title: Profiles move
copy: { from: users, to: profiles, key: { user_id: id }, columns: { bio: bio } }
rollout: [{ share: 10%, soak: 1h }, { share: 100% }]
`

test('plan shows phases, statements with their locks, gates and ways back', async () => {
  await write({
    'migration.yaml': PATHS,
    'expand.sql':
      'create table profiles (user_id int primary key, bio text);\ncreate index concurrently i on users (id);',
    'rollback.sql': 'drop table profiles',
    'contract.sql': 'alter table users drop column bio',
  })
  const { code, out } = await run('plan', folder)
  expect(code).toBe(0)
  expect(out).toMatch(/expanded +expand\.sql +planned: by rollback\.sql/)
  expect(out).toMatch(/retired +promoted: by a reverse backfill/)
  expect(out).toContain('the rollout went through: 10% for 1h, 100%')
  expect(out).toContain('ACCESS EXCLUSIVE on profiles, which is new')
  expect(out).toContain('SHARE UPDATE EXCLUSIVE on users: holds up vacuum and other schema changes')
  const { plans } = JSON.parse((await run('plan', folder, '--json')).out)
  expect(plans[0].statements.map(({ file, blocking }: never) => [file, blocking])).toEqual([
    ['expand', false],
    ['expand', false],
    ['rollback', false],
    ['contract', true],
  ])
})

test('plan says where a file cannot be read, and refuses', async () => {
  await write({ 'migration.yaml': PATHS, 'expand.sql': 'creat table x ()' })
  const { code, err } = await run('plan', folder)
  expect(code).toBe(1)
  expect(err).toContain('expand.sql:1: syntax error')
  expect((await run('plan', join(folder, 'nothing'))).code).toBe(1)
})

test('dry-run reports on a database, and fails where a statement does', async () => {
  await write({
    'migration.yaml': 'id: more\ntitle: More\n',
    'expand.sql': 'alter table users add column plan text',
    'rollback.sql': 'alter table users drop column plan',
  })
  expect(await run('dry-run', folder)).toMatchObject({
    code: 2,
    err: expect.stringContaining('--target URL, or set TARGET_MAIN_URL'),
  })
  const missing = await run('dry-run', folder, '--target', database.url)
  expect(missing).toMatchObject({
    code: 1,
    out: expect.stringContaining('failed: relation "users" does not exist'),
  })
  await database.pool.query('create table users (id int)')
  const { code, out } = await run('dry-run', folder, '--target', database.url)
  expect(code).toBe(0)
  expect(out).toContain('ACCESS EXCLUSIVE on users: holds up reads and writes')
  expect(out).toContain('ran on a scratch copy')
  const json = JSON.parse(
    (await run('dry-run', folder, '--target', database.url, '--in-target', '--json')).out,
  )
  expect(json.runs[0]).toMatchObject({ ok: true, ran: 'in the target, rolled back' })
})
