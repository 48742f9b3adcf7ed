import { testStore } from '@switchback/test/support'
import { afterAll, afterEach, expect, test } from 'vitest'
import { recogniseIdentity } from './identity-store.ts'
import { claimAt, readClaims } from './read-claims.ts'

const store = await testStore()
const { db } = store
afterEach(() => db.query('truncate identities, identity_names, tokens cascade'))
afterAll(() => store.drop())

let count = 0
const ISSUER = 'https://idp.example'
const recognise = (claims: Record<string, unknown>, issuer = ISSUER) =>
  recogniseIdentity(db, readClaims(claims, issuer, 'groups'), { newId: `idn_${++count}`, now: count })

const ADDRESS = { email: 'ann@example.com', email_verified: true }

test('the same subject is the same person, whatever they are called now', async () => {
  const before = await recognise({ sub: '1', ...ADDRESS })
  const after = await recognise({ sub: '1', email: 'ann.roy@example.com', email_verified: true })
  expect(after.id).toBe(before.id)
  expect([before.name, after.name]).toEqual(['ann@example.com', 'ann.roy@example.com'])
})

test('an address that passes on to somebody else makes nobody the one who had it', async () => {
  const first = await recognise({ sub: '1', ...ADDRESS })
  await recognise({ sub: '1', email: 'gone@example.com', email_verified: true })
  const second = await recognise({ sub: '2', email: 'ANN@example.com', email_verified: true })
  expect(second.id).not.toBe(first.id)
  expect(second.name.toLowerCase()).not.toBe('ann@example.com')
  // Who had it before may have it again.
  expect((await recognise({ sub: '1', ...ADDRESS })).name).toBe('ann@example.com')
})

test('the same subject of another provider is another person', async () => {
  const here = await recognise({ sub: '1', ...ADDRESS })
  const there = await recognise({ sub: '1', ...ADDRESS }, 'https://other.example')
  expect(there.id).not.toBe(here.id)
  expect(there.name).not.toBe(here.name)
})

test.each(['engine', 'Alert', 'first start'])(
  'nobody is called like a part of the server: %s',
  async (name) => {
    const { name: given } = await recognise({ sub: 'abc', name })
    expect(given).toBe('abc')
  },
)

test('a name that one can give oneself is not that of a token; a proven address is', async () => {
  for (const name of ['ci', 'ann@example.com']) {
    await db.query(
      `insert into tokens (id, name, role, hash, created_at, created_by) values ($1, $1, 'admin', $1, now(), 'x')`,
      [name],
    )
  }
  expect((await recognise({ sub: 'abc', preferred_username: 'CI' })).name).toBe('abc')
  expect((await recognise({ sub: 'ann', ...ADDRESS })).name).toBe('ann@example.com')
})

test('an address that the provider calls unproven is no name', async () => {
  expect((await recognise({ sub: 'abc', email: 'boss@example.com', email_verified: false })).name).toBe('abc')
})

test('a name with signs that would break a line is made readable', async () => {
  expect((await recognise({ sub: '1', name: 'Ann\n\u001b[31m <b>Lee</b>\u202e' })).name).toBe(
    'Ann 31m b Lee b',
  )
})

test.each([
  ['a plain name', 'groups', { groups: ['a'] }, ['a']],
  ['a path', 'realm_access.roles', { realm_access: { roles: ['a', 'b'] } }, ['a', 'b']],
  ['a name with dots', 'https://x.example/groups', { 'https://x.example/groups': ['a'] }, ['a']],
  ['one text', 'role', { role: 'a' }, ['a']],
  ['names of an object', 'roles', { roles: { a: { org: '1' }, b: {} } }, ['a', 'b']],
  ['other things among them', 'groups', { groups: ['a', 1, null] }, ['a']],
  ['none', 'groups', {}, []],
  ['nothing inherited', 'constructor.name', {}, []],
])('groups are read from %s', (_, claim, claims, groups) => {
  expect(readClaims({ sub: '1', ...claims }, ISSUER, claim).credentials.groups).toEqual(groups)
})

test('groups that the provider tells of elsewhere are missed loudly', () => {
  const claims = { sub: '1', _claim_names: { groups: 'src1' } }
  expect(() => readClaims(claims, ISSUER, 'groups')).toThrow(
    expect.objectContaining({ code: 'groups-left-out' }),
  )
  expect(claimAt(claims, 'groups')).toBeUndefined()
})
