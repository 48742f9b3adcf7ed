import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bootstrapAdmin } from './bootstrap-admin.ts'
import { may, ROLES, rolesThatMay } from './permissions.ts'
import type { Tokens } from './tokens.ts'
import { createTokens } from './tokens.ts'

let store: TestStore
let tokens: Tokens
let now: number
let dataDir: string
let ids = 0

const make = (db = store.db): Tokens =>
  createTokens({ db, clock: () => now, newId: (prefix) => `${prefix}_${++ids}`, randomBytes })
const bootstrap = (adminToken?: string) =>
  bootstrapAdmin({
    db: store.db,
    clock: () => now,
    tokens,
    dataDir,
    ...(adminToken === undefined ? {} : { adminToken }),
  })

beforeEach(async () => {
  store = await testStore()
  dataDir = await mkdtemp(join(tmpdir(), 'switchback-data-'))
  now = Date.UTC(2026, 10, 22, 12)
  tokens = make()
})
afterEach(async () => {
  await store.drop()
  await rm(dataDir, { recursive: true })
})

test('a token is shown once and stored as a hash', async () => {
  const { text, info } = await tokens.create({ name: 'ci', role: 'operator' }, { name: 'admin' })
  expect(text).toMatch(/^sb_operator_[\w-]{43}$/)
  expect(await tokens.authenticate(text)).toEqual({ id: info.id, name: 'ci', role: 'operator' })
  const { rows } = await store.db.query(`select t::text as all from tokens t`)
  expect(JSON.stringify(rows)).not.toContain(text.slice('sb_operator_'.length))
  const audit = await store.db.query(`select detail::text, kind from audit_events`)
  expect(audit.rows).toMatchObject([{ kind: 'token.created' }])
  expect(JSON.stringify(audit.rows)).not.toContain(text.slice('sb_operator_'.length))
})

test('an unknown, a revoked and an expired token stand for nobody', async () => {
  expect(await tokens.authenticate(`sb_admin_${'A'.repeat(43)}`)).toBeUndefined()
  const revoked = await tokens.create({ name: 'a', role: 'admin' }, { name: 'x' })
  expect(await tokens.revoke(revoked.info.id, 'x')).toBe(true)
  expect(await tokens.revoke(revoked.info.id, 'x')).toBe(false)
  expect(await tokens.authenticate(revoked.text)).toBeUndefined()
  const expiring = await tokens.create({ name: 'b', role: 'admin', expiresAt: now + 1000 }, { name: 'x' })
  expect(await tokens.authenticate(expiring.text)).toMatchObject({ name: 'b' })
  now += 1000
  expect(await tokens.authenticate(expiring.text)).toBeUndefined()
})

test('the last use is written down at most once a minute', async () => {
  const { text } = await tokens.create({ name: 'busy', role: 'sdk' }, { name: 'x' })
  const used = async () => (await tokens.list())[0]?.lastUsedAt
  await tokens.authenticate(text)
  const first = now
  expect(await used()).toBe(first)
  now += 59_000
  await tokens.authenticate(text)
  expect(await used()).toBe(first)
  now += 1_000
  await tokens.authenticate(text)
  expect(await used()).toBe(now)
})

test('servers that start together on an empty store make one admin token, readable by the owner alone', async () => {
  const results = await Promise.all([bootstrap(), bootstrap(), bootstrap()])
  expect(results.map((result) => result.kind).sort()).toEqual(['present', 'present', 'written'])
  const file = join(dataDir, 'admin-token')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await tokens.authenticate((await readFile(file, 'utf8')).trim())).toMatchObject({ role: 'admin' })
})

test('a file that lay open before does not lend its mode to the token', async () => {
  await writeFile(join(dataDir, 'admin-token.new'), 'x', { mode: 0o644 })
  await bootstrap()
  expect((await stat(join(dataDir, 'admin-token'))).mode & 0o777).toBe(0o600)
})

test('a token from the environment is good until another one is given', async () => {
  const first = 'first-token-from-the-environment'
  const second = 'second-token-from-the-environment'
  expect(await bootstrap(first)).toEqual({ kind: 'given' })
  expect(await bootstrap(first)).toEqual({ kind: 'given' })
  expect(await tokens.list()).toHaveLength(1)
  await bootstrap(second)
  expect(await tokens.authenticate(first)).toBeUndefined()
  expect(await tokens.authenticate(second)).toMatchObject({ role: 'admin' })
})

test.each([
  ['viewer', ['read', 'evaluate']],
  ['operator', ['read', 'evaluate', 'operate']],
  ['approver', ['read', 'evaluate', 'operate', 'approve']],
  ['admin', ['read', 'evaluate', 'operate', 'approve', 'administer', 'connect', 'alert']],
  ['sdk', ['evaluate', 'connect']],
  ['alert', ['alert']],
] as const)('%s may %j and nothing else', (role, allowed) => {
  const all = ['read', 'operate', 'approve', 'administer', 'evaluate', 'connect', 'alert'] as const
  expect(all.filter((permission) => may(role, permission)).sort()).toEqual([...allowed].sort())
})

test('whoever may not is told who may', () => {
  expect(rolesThatMay('approve')).toEqual(['approver', 'admin'])
  expect(ROLES.filter((role) => may(role, 'administer'))).toEqual(['admin'])
})

test('a fleet that comes back with one token has it looked up a few times, and never after it was revoked', async () => {
  let statements = 0
  const counting: typeof store.db = {
    ...store.db,
    query: (sql, params) => {
      statements++
      return store.db.query(sql, params)
    },
  }
  const { info, text } = await tokens.create({ name: 'fleet', role: 'sdk' }, { name: 'x' })
  const shared = make(counting)
  const all = await Promise.all(Array.from({ length: 5_000 }, () => shared.authenticate(text)))
  expect(all.every((principal) => principal?.name === 'fleet')).toBe(true)
  expect(statements).toBeLessThanOrEqual(4)
  // Asked before the revocation, and answered whenever; what is asked after it must not share that answer.
  const before = shared.authenticate(text)
  await shared.revoke(info.id, 'x')
  expect(await shared.authenticate(text)).toBeUndefined()
  await before
})
