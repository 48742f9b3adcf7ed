import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, redisServer, type TestDatabase, testDatabase, testStore } from '@switchback/test/support'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Check, checksOf, faultText } from '../doctor/check.ts'
import { commonChecks } from '../doctor/check-database.ts'
import { nodeCheck } from '../doctor/check-machine.ts'
import { testApi } from '../http/test-api.ts'
import { runForTests } from './run-for-tests.ts'

const redis = await redisServer()
const store = await testStore()
const folder = await mkdtemp(join(tmpdir(), 'switchback-doctor-'))
const ROLE = `migrator_${randomBytes(4).toString('hex')}`
const PASSWORD = 'not%to:be@told'
let target: TestDatabase
let empty: TestDatabase
let port = 0
beforeAll(async () => {
  target = await testDatabase()
  empty = await testDatabase()
  port = await freePort()
  await target.pool.query(`
    create role ${ROLE} login password '${PASSWORD}';
    revoke create on schema public from public;
    create table public.users (id int primary key)`)
})
afterAll(async () => {
  await redis?.stop()
  await target.pool.query(`drop owned by ${ROLE}; drop role ${ROLE}`)
  await Promise.all([target.drop(), empty.drop(), store.drop(), rm(folder, { recursive: true })])
})

const asRole = (url: string, password = PASSWORD): string => {
  const own = new URL(url)
  own.username = ROLE
  own.password = encodeURIComponent(password)
  return own.href
}
async function doctor(
  env: Record<string, string | undefined>,
  given: { args?: string[]; now?: () => number } = {},
) {
  const { code, out, err } = await runForTests(['doctor', ...(given.args ?? ['--json'])], {
    env: { PORT: String(port), SWITCHBACK_DATA: folder, ...env },
    now: given.now ?? Date.now,
  })
  return { code, out: out + err }
}
/** Outcomes by area and name, and the checks themselves. */
async function examined(env: Record<string, string | undefined>, now?: () => number) {
  const { code, out } = await doctor(env, now === undefined ? {} : { now })
  const { checks } = JSON.parse(out) as { checks: readonly Check[] }
  const of = (area: string) =>
    Object.fromEntries(
      checks.filter((check) => check.area === area).map(({ name, outcome }) => [name, outcome]),
    )
  const one = (area: string, name: string) =>
    checks.find((check) => check.area === area && check.name === name)
  return { code, out, of, one }
}
const whole = () => ({ DATABASE_URL: store.url, TARGET_MAIN_URL: target.url })

test('where everything is in order each line is ok, and the exit code 0', async () => {
  const { code, of, one } = await examined(whole())
  // Other test files take connections of the same server: how many are free is not ours to say.
  expect(of('store')).toMatchObject({ reachable: 'ok', version: 'ok', clock: 'ok', schema: 'ok' })
  expect(of('target main')).toMatchObject({
    reachable: 'ok',
    fence: 'ok',
    create: 'ok',
    owner: 'ok',
    statistics: 'ok',
    timeouts: 'ok',
    prepared: 'ok',
  })
  expect(of('machine')).toMatchObject({ node: 'ok', port: 'ok', data: expect.stringMatching(/ok|warn/) })
  expect(one('store', 'schema')?.message).toMatch(/^at version \d+, which this server needs$/)
  expect(code).toBe(0)
})

test('a person reads one line each, what to do below it, and a sum', async () => {
  const { code, out } = await doctor({ DATABASE_URL: store.url }, { args: [] })
  expect(code).toBe(1)
  expect(out).toMatch(
    /^ok {4}settings {2}all settings can be read\nfail {2}settings {2}no target is configured/,
  )
  expect(out).toContain('      what to do: Set TARGET_<NAME>_URL')
  expect(out).toMatch(/\d+ ok, \d+ to look at, 1 failed\n$/)
})

test.each([
  ['a URL', 'postgres://u:p%40ss@h/d', 'no way to postgres://u:p%40ss@h/d', 'no way to …'],
  ['a password, as it is', 'postgres://u:p%40ss@h/d', 'p@ss is wrong', '… is wrong'],
  ['a password, encoded', 'postgres://u:p%40ss@h/d', 'p%40ss is wrong', '… is wrong'],
])('what a fault says is told without the secrets in it: %s', (_, secret, message, told) => {
  expect(faultText(new Error(message), secret)).toBe(told)
})

test('wrong settings are told together, without their values', async () => {
  const { code, out, one } = await examined({ DATABASE_URL: 'mysql://u:hidden@h/d', PORT: 'many' })
  expect(code).toBe(1)
  expect(one('settings', 'DATABASE_URL')?.outcome).toBe('fail')
  expect(one('settings', 'PORT')?.outcome).toBe('fail')
  expect(out).not.toContain('hidden')
})

describe('the store', () => {
  test('that has no schema yet gets one at the start of a server; nothing is made now', async () => {
    const { one } = await examined({ ...whole(), DATABASE_URL: empty.url })
    expect(one('store', 'schema')).toMatchObject({
      outcome: 'ok',
      message: 'none yet; a server makes it at its start',
    })
    const { rows } = await empty.pool.query(`select to_regnamespace('switchback_store') as found`)
    expect(rows).toEqual([{ found: null }])
  })

  test('that a newer server has changed is told of', async () => {
    const newer = await testStore()
    await newer.db.query(`insert into schema_migrations values (999, '999-later.sql', '', true)`)
    const { one, code } = await examined({ ...whole(), DATABASE_URL: newer.url })
    await newer.drop()
    expect(code).toBe(1)
    expect(one('store', 'schema')).toMatchObject({
      outcome: 'fail',
      message: expect.stringContaining('changed by a newer server (999-later.sql)'),
    })
  })

  test('that nobody answers for is told of with its place, and no password', async () => {
    const { out, one, code } = await examined({
      ...whole(),
      DATABASE_URL: `postgres://u:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/d`,
    })
    expect(code).toBe(1)
    expect(one('store', 'reachable')).toMatchObject({
      outcome: 'fail',
      message: expect.stringContaining(`127.0.0.1:${port}/d does not let us in`),
      action: expect.stringContaining('See DATABASE_URL'),
    })
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD)]) expect(out).not.toContain(secret)
  })
})

describe('a target', () => {
  test('whose role may do nothing there is told of, each with the grant that mends it', async () => {
    const { code, out, of, one } = await examined({ ...whole(), TARGET_MAIN_URL: asRole(target.url) })
    expect(code).toBe(1)
    expect(of('target main')).toMatchObject({
      reachable: 'ok',
      fence: 'fail',
      create: 'fail',
      owner: 'warn',
      statistics: 'warn',
      timeouts: 'ok',
    })
    expect(one('target main', 'fence')?.action).toContain(`create schema switchback authorization "${ROLE}"`)
    expect(one('target main', 'owner')?.message).toContain('such as users')
    expect(out).not.toContain(PASSWORD)
  })

  test('where the grants that it names were given has nothing left to tell', async () => {
    await target.pool.query(`
      create schema switchback authorization ${ROLE};
      grant usage, create on schema public to ${ROLE};
      grant pg_read_all_stats to ${ROLE};
      alter table public.users owner to ${ROLE}`)
    const { of } = await examined({ ...whole(), TARGET_MAIN_URL: asRole(target.url) })
    expect(of('target main')).toMatchObject({ fence: 'ok', create: 'ok', owner: 'ok', statistics: 'ok' })
  })

  test('whose role has limits that would end long work is told of', async () => {
    await target.pool.query(`alter role ${ROLE} set statement_timeout = '30s'`)
    const { one } = await examined({ ...whole(), TARGET_MAIN_URL: asRole(target.url) })
    expect(one('target main', 'timeouts')).toMatchObject({
      outcome: 'warn',
      message: expect.stringContaining('statement_timeout (30000 ms)'),
      action: `Take it off for this role alone: alter role "${ROLE}" set statement_timeout = 0.`,
    })
  })

  test('whose clock, like that of the store, is not that of this machine is told of', async () => {
    const { of, one, code } = await examined(whole(), () => Date.now() - 90_000)
    expect(code).toBe(1)
    expect(one('store', 'clock')).toMatchObject({
      outcome: 'fail',
      message: expect.stringMatching(/^its clock is \d+\.\d s ahead of that of this machine$/),
    })
    // Target and store agree with each other; the last line is theirs.
    expect(of('target main').clock).toBe('ok')
  })
})

test.each([
  ['is well', {}, 'ok ok ok ok'],
  ['is a standby', { standby: true }, 'fail ok ok ok'],
  ['is not maintained', { number: 130_004 }, 'ok warn ok ok'],
  ['is too old', { number: 110_022 }, 'ok fail ok ok'],
  ['has room for one server', { used: 70 }, 'ok ok ok warn'],
  ['has no room', { used: 90 }, 'ok ok ok fail'],
  ['is 2 s ahead', { skew: 2_000 }, 'ok ok warn ok'],
  ['is 2 min behind', { skew: -120_000 }, 'ok ok fail ok'],
])(
  'a database that %s',
  (_, { skew = 0, ...given }: { skew?: number; [fact: string]: unknown }, outcomes) => {
    const facts = { version: 'x', number: 180_004, standby: false, now: 0, limit: 97, used: 5, ...given }
    const checks = commonChecks(checksOf('store'), 'postgres://u:p@h/d', facts, skew, 20)
    expect(checks.map(({ outcome }) => outcome).join(' ')).toBe(outcomes)
  },
)

describe('the machine', () => {
  test('whose port something else has is told of; a server of Switchback is not something else', async () => {
    const api = testApi(store.db)
    const other = createServer((_request, response) => response.end('another service'))
    const own = createServer(api.app)
    for (const server of [other, own])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const at = (server: typeof own) => String((server.address() as AddressInfo).port)
    expect((await examined({ ...whole(), PORT: at(other) })).one('machine', 'port')).toMatchObject({
      outcome: 'fail',
      message: `127.0.0.1:${at(other)} is in use by something else`,
    })
    expect((await examined({ ...whole(), PORT: at(own) })).of('machine').port).toBe('ok')
    for (const server of [other, own]) await new Promise((resolve) => server.close(resolve))
    await api.stop()
  })

  test('whose folders are not such is told of', async () => {
    await writeFile(join(folder, 'file'), '')
    const { of } = await examined({
      ...whole(),
      ARCHIVE_URL: join(folder, 'file', 'archive'),
      MIGRATIONS_DIR: join(folder, 'none'),
    })
    expect(of('machine')).toMatchObject({ archives: 'fail', migrations: 'fail' })
  })

  test.each([
    ['18.20.0', 'fail'],
    ['20.18.3', 'fail'],
    ['20.19.0', 'ok'],
    ['22.0.0', 'ok'],
  ] as const)('Node %s: %s', (version, outcome) => {
    expect(nodeCheck(version).outcome).toBe(outcome)
  })
})

describe.skipIf(redis === undefined)('Redis', () => {
  test('that carries news is ok, and the key of a cluster is asked for', async () => {
    const url = redis?.url
    expect((await examined({ ...whole(), REDIS_URL: url })).of('redis')).toEqual({
      news: 'ok',
      'secret key': 'warn',
    })
    const SWITCHBACK_SECRET_KEY = 'a key of at least thirty-two letters'
    const { of, out } = await examined({ ...whole(), REDIS_URL: url, SWITCHBACK_SECRET_KEY })
    expect(of('redis')).toEqual({ news: 'ok' })
    expect(out).not.toContain(SWITCHBACK_SECRET_KEY)
  })

  test('that is not there is told of', async () => {
    const REDIS_URL = `redis://:hidden@127.0.0.1:${port}`
    const { code, out, one } = await examined({ ...whole(), REDIS_URL })
    expect(code).toBe(1)
    expect(one('redis', 'news')).toMatchObject({
      outcome: 'fail',
      message: expect.stringContaining(`Redis at 127.0.0.1:${port} carries no news`),
    })
    expect(out).not.toContain('hidden')
  })
})
