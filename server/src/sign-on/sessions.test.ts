import type { OpenIdProviderOptions } from '@switchback/test/support'
import { freePort, openIdProvider, testStore } from '@switchback/test/support'
import { afterAll, afterEach, expect, test } from 'vitest'
import type { SignOnSettings } from '../config/sign-on-settings.ts'
import { testApi } from '../http/test-api.ts'
import { testBrowser } from './test-browser.ts'
import { signOnWorlds, type WorldOptions } from './test-world.ts'

const store = await testStore()
const {
  open: world,
  listening,
  eventsOf,
  clear,
} = signOnWorlds<Partial<OpenIdProviderOptions>>({
  db: store.db,
  freePort,
  openIdProvider,
})
afterEach(clear)
afterAll(() => store.drop())

test.each([
  ['the origin of another site', { origin: 'https://evil.example' }],
  ['no origin', { origin: '' }],
  ['the origin "null"', { origin: 'null' }],
  ['no mark of the console', { 'x-switchback': '' }],
])('a change that comes by the cookie with %s is refused', async (_, headers) => {
  const { signIn, call } = await world()
  await signIn('ann')
  const forged = await call('POST', '/v1/tokens', { body: { name: 'x', role: 'admin' }, headers })
  expect([forged.status, forged.body.code]).toEqual([403, 'forbidden'])
  expect((await call('POST', '/v1/tokens', { body: { name: 'x', role: 'viewer' } })).status).toBe(201)
})

test('a session ends when it is too long unused, and when it is too old however much it is used', async () => {
  const { signIn, api, statusOfMe } = await world()
  await signIn('ben')
  for (const minutes of [50, 50]) {
    api.passTime(minutes * 60_000)
    expect(await statusOfMe()).toBe(200)
  }
  api.passTime(61 * 60_000)
  expect(await statusOfMe()).toBe(401)

  await signIn('ben')
  for (let hours = 0; hours < 12; hours++) {
    expect(await statusOfMe()).toBe(200)
    api.passTime(59 * 60_000)
  }
  // Used a moment ago, and twelve hours old.
  expect(await statusOfMe()).toBe(200)
  api.passTime(13 * 60_000)
  expect(await statusOfMe()).toBe(401)
})

test('an admin sees who is signed in, and ends a session at once', async () => {
  const { signIn, call, api, statusOfMe } = await world()
  await signIn('ben')
  const headers = { authorization: `Bearer ${await api.token('admin')}` }
  const { sessions } = (await call('GET', '/v1/sessions', { headers })).body
  expect(sessions).toMatchObject([{ name: 'ben@example.com', role: 'operator', email: 'ben@example.com' }])
  const [{ id }] = sessions
  expect((await call('DELETE', `/v1/sessions/${id}`)).status).toBe(403)
  expect((await call('DELETE', `/v1/sessions/${id}`, { headers })).status).toBe(204)
  expect((await call('DELETE', `/v1/sessions/${id}`, { headers })).body.code).toBe('unknown-session')
  expect(await statusOfMe()).toBe(401)
})

test('any server of the store knows a session, and by its own settings of now', async () => {
  const { signIn, browser, settings } = await world()
  await signIn('ben')
  const statusAt = async (more: Partial<SignOnSettings>): Promise<number> => {
    const other = await listening(testApi(store.db, { signOn: { ...settings, ...more } }))
    return (await browser.step(`${other}/v1/me`)).status
  }
  expect(await statusAt({})).toBe(200)
  expect(await statusAt({ roles: [{ role: 'admin', group: 'platform' }] })).toBe(401)
  expect(await statusAt({ emailDomains: ['elsewhere.org'] })).toBe(401)
  expect(await statusAt({ issuer: 'https://another.example' })).toBe(401)
})

test('signing out ends the session here and leads to the provider, which ends its own', async () => {
  const { signIn, call, browser, url, provider, statusOfMe } = await world()
  await signIn('ann')
  const cookie = browser.cookiesFor(url)
  const { status, body } = await call('POST', '/v1/sign-out')
  expect([status, new URL(body.next).origin]).toEqual([200, provider.issuer])
  expect(await statusOfMe()).toBe(401)
  // Whoever has kept the cookie has nothing.
  const kept = await fetch(`${url}/v1/me`, { headers: { cookie } })
  expect(kept.status).toBe(401)
  const asked = await browser.visit(body.next)
  expect(asked.text).toContain('Sign out of the provider?')
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(asked.text)?.[1] ?? ''
  const led = await browser.visit(new URL('/session/end/confirm', asked.url).href, { xsrf, logout: 'yes' })
  expect(led.url.href).toBe(`${url}/`)
  // The provider asks again who it is, instead of letting in whoever was there before.
  expect((await browser.visit(`${url}/v1/sign-on/start`)).url.pathname).toMatch(/^\/interaction\//)
})

test.each<[string, WorldOptions<Partial<OpenIdProviderOptions>>]>([
  ['the provider does not offer it', { provider: { endsSessions: false } }],
  ['the settings say so', { settings: { signsOutAtProvider: false } }],
])('signing out ends the session here alone where %s', async (_, options) => {
  const { signIn, call, statusOfMe } = await world(options)
  await signIn('ann')
  expect((await call('POST', '/v1/sign-out')).body).toEqual({})
  expect(await statusOfMe()).toBe(401)
})

test('signing out works while the provider is away', async () => {
  const { signIn, call, provider, statusOfMe } = await world()
  await signIn('ann')
  await provider.stop()
  expect((await call('POST', '/v1/sign-out')).status).toBe(200)
  expect(await statusOfMe()).toBe(401)
})

test('who signs in again in the same browser has one session', async () => {
  const { signIn, api, call } = await world()
  await signIn('ann')
  const [first] = await eventsOf('session.started')
  await signIn('ann')
  const headers = { authorization: `Bearer ${await api.token('admin')}` }
  expect((await call('GET', '/v1/sessions', { headers })).body.sessions).toHaveLength(1)
  const [ended] = await eventsOf('session.ended')
  expect(ended?.subject).toBe(first?.subject)
})

test('one person does not approve and contract with two hats, whether by session or by a token of theirs', async () => {
  const { signIn, call, api } = await world()
  await api.registered('hats', 'contract: { approvals: 1 }\n')
  const retired = { phase: 'retired', complete: { old: false, new: true } }
  await store.db.query(`update migrations set state = state || $1 where id = 'hats'`, [
    JSON.stringify(retired),
  ])
  await signIn('ann')
  const made = await call('POST', '/v1/tokens', { body: { name: 'ann laptop', role: 'admin' } })
  const hat = { authorization: `Bearer ${made.body.token}` }
  const second = await call('POST', '/v1/tokens', { body: { name: 'of a hat', role: 'admin' }, headers: hat })
  const ask = (what: string, headers: Record<string, string> = {}) =>
    call('POST', `/v1/migrations/hats/${what}`, { body: {}, headers })

  expect((await ask('approve')).status).toBe(200)
  for (const token of [made.body.token, second.body.token]) {
    const headers = { authorization: `Bearer ${token}` }
    expect((await ask('approve', headers)).body.code).toBe('already-approved')
    expect((await ask('advance', headers)).body.blockers).toMatchObject([{ code: 'approvals-missing' }])
  }
  expect((await ask('advance')).body).toMatchObject({
    code: 'gate-closed',
    blockers: [{ code: 'approvals-missing', message: expect.stringContaining('ann@example.com') }],
  })
  const ben = testBrowser()
  await signIn('ben', { browser: ben })
  expect((await call('POST', '/v1/migrations/hats/advance', { body: {}, browser: ben })).status).toBe(200)
})
