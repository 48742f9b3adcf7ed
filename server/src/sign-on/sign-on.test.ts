import type { OpenIdProviderOptions } from '@switchback/test/support'
import { freePort, openIdProvider, testStore } from '@switchback/test/support'
import { afterAll, afterEach, expect, test } from 'vitest'
import { testApi } from '../http/test-api.ts'
import { testBrowser } from './test-browser.ts'
import { PEOPLE, signOnWorlds, troubleOf } from './test-world.ts'

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
  ['a public client', {}, {}],
  ['a client with a secret', { clientSecret: 'hush' }, { clientSecret: 'hush' }],
  ['claims in the ID token', {}, { tellsInIdToken: true }],
])(
  'a person signs in, is known by subject and issuer, and comes back to the page: %s',
  async (_, settings, provider) => {
    const { signIn, call, provider: at } = await world({ settings, provider })
    expect((await call('GET', '/v1/sign-on')).body).toEqual({
      offered: true,
      name: 'Test Provider',
      signedIn: false,
    })
    const led = await signIn('ann', { returnTo: '/migrations/x/health?tab=1' })
    expect(led.pathname + led.search).toBe('/migrations/x/health?tab=1')
    const { status, body } = await call('GET', '/v1/me')
    expect([status, body.name, body.role, body.session.provider]).toEqual([
      200,
      'ann@example.com',
      'admin',
      'Test Provider',
    ])
    expect((await call('GET', '/v1/sign-on')).body.signedIn).toBe(true)
    const [started] = await eventsOf('session.started')
    expect(started).toMatchObject({
      actor: 'ann@example.com',
      detail: { issuer: at.issuer, subject: 'ann', role: 'admin' },
    })
  },
)

test('the cookie is for this server alone, and the store has only a hash of it', async () => {
  const { answerFor, browser } = await world()
  const back = await browser.step((await answerFor('ann')).href)
  const set = back.headers.getSetCookie().find((each) => each.startsWith('switchback-session=')) ?? ''
  expect(set).toMatch(/HttpOnly/)
  expect(set).toMatch(/SameSite=Strict/)
  const text = /=([^;]+)/.exec(set)?.[1] ?? ''
  const { rows } = await store.db.query('select s::text as all, i::text from sessions s, identities i')
  expect(JSON.stringify(rows)).not.toContain(text)
  // The ID token is there, sealed: a JSON web token begins with this.
  expect(JSON.stringify(rows)).not.toContain('eyJ')
})

test.each([
  ['ben', 200, 'operator'],
  ['ann', 200, 'admin'],
] as const)('groups give the highest of their roles: %s', async (who, status, role) => {
  const { signIn, call } = await world()
  await signIn(who)
  const me = await call('GET', '/v1/me')
  expect([me.status, me.body.role]).toEqual([status, role])
})

test('who has no role is turned away in plain words, and it is written down', async () => {
  const { signIn, call, api } = await world()
  expect(troubleOf(await signIn('cid'))).toBe('no-role')
  expect((await call('GET', '/v1/me')).status).toBe(401)
  expect((await eventsOf('session.refused'))[0]).toMatchObject({ detail: { subject: 'cid', why: 'no-role' } })
  expect(api.logged.join('')).toContain('their groups are: kitchen')
})

test.each([
  ['dee', 'email-not-allowed'],
  ['eve', 'email-not-allowed'],
  ['ben', null],
] as const)('only addresses of named domains are let in, and only proven ones: %s', async (who, trouble) => {
  const { signIn } = await world({ settings: { emailDomains: ['example.com'] } })
  expect(troubleOf(await signIn(who))).toBe(trouble)
})

test('a standard role lets in who is in no group, and never lowers one', async () => {
  const { signIn, call } = await world({ settings: { defaultRole: 'viewer' } })
  await signIn('cid')
  expect((await call('GET', '/v1/me')).body.role).toBe('viewer')
  const other = testBrowser()
  await signIn('ben', { browser: other })
  expect((await call('GET', '/v1/me', { browser: other })).body.role).toBe('operator')
})

test('who says no at the provider is told so', async () => {
  const { signIn } = await world()
  const led = await signIn('cancel')
  expect([led.pathname, troubleOf(led)]).toEqual(['/fleet', 'cancelled'])
})

test.each<[string, (answer: URL) => void, string]>([
  ['another state', (answer) => answer.searchParams.set('state', 'x'.repeat(43)), 'expired'],
  ['no state', (answer) => answer.searchParams.delete('state'), 'expired'],
  ['another code', (answer) => answer.searchParams.set('code', 'x'.repeat(43)), 'provider-refused'],
  ['another issuer', (answer) => answer.searchParams.set('iss', 'https://elsewhere.example'), 'not-proven'],
])('an answer that was changed on the way opens nothing: %s', async (_, change, trouble) => {
  const { answerFor, browser, call } = await world()
  const answer = await answerFor('ann')
  change(answer)
  const { url } = await browser.visit(answer.href)
  expect(troubleOf(url)).toBe(trouble)
  expect((await call('GET', '/v1/me')).status).toBe(401)
})

test.each<[string, (asked: URL) => void, string]>([
  ['another nonce', (asked) => asked.searchParams.set('nonce', 'another'), 'not-proven'],
  [
    'another challenge',
    (asked) => asked.searchParams.set('code_challenge', 'x'.repeat(43)),
    'provider-refused',
  ],
])('a question that was changed on the way opens nothing: %s', async (_, change, trouble) => {
  const { answerFor, browser } = await world()
  const { url } = await browser.visit((await answerFor('ann', change)).href)
  expect(troubleOf(url)).toBe(trouble)
})

test('an answer is good once, and in the browser that asked', async () => {
  const { answerFor, browser, url, call } = await world()
  const answer = await answerFor('ann')
  const stranger = testBrowser()
  expect(troubleOf((await stranger.visit(answer.href)).url)).toBe('expired')
  // Nor does it sign in, as somebody else, who has begun a sign-in of their own.
  await stranger.step(`${url}/v1/sign-on/start`)
  expect(stranger.cookiesFor(url)).toContain('switchback-sign-on=')
  expect(troubleOf((await stranger.visit(answer.href)).url)).toBe('expired')
  const cookie = browser.cookiesFor(url)
  expect(troubleOf((await browser.visit(answer.href)).url)).toBeNull()
  // With the very cookies of the first time.
  const again = await fetch(answer, { redirect: 'manual', headers: { cookie } })
  expect(again.headers.get('location')).toContain('sign-on=expired')
  expect((await call('GET', '/v1/me')).status).toBe(200)
})

test('an answer that comes after more than ten minutes is too late', async () => {
  const { answerFor, browser, api } = await world()
  const answer = await answerFor('ann')
  api.passTime(10 * 60_000)
  expect(troubleOf((await browser.visit(answer.href)).url)).toBe('expired')
})

test.each<[string, Partial<OpenIdProviderOptions>]>([
  ['signed with a key that is not published', { forgesKeys: true }],
  ['run out', { alterIdToken: (claims) => ({ ...claims, exp: Number(claims.iat) - 60 }) }],
  ['for another client', { alterIdToken: (claims) => ({ ...claims, aud: 'another' }) }],
  ['of another provider', { alterIdToken: (claims) => ({ ...claims, iss: 'https://another.example' }) }],
  ['without a nonce', { alterIdToken: ({ nonce: _nonce, ...claims }) => claims }],
])('an ID token proves nothing that is %s', async (_, provider) => {
  const { signIn, call } = await world({ provider })
  expect(troubleOf(await signIn('ann'))).toBe('not-proven')
  expect((await call('GET', '/v1/me')).status).toBe(401)
})

test('while the provider is away tokens work, and it is tried again with the next sign-in', async () => {
  const { provider, signIn, call, api, url } = await world()
  await provider.stop()
  const led = await signIn('ann')
  expect([led.origin, led.pathname, troubleOf(led)]).toEqual([url, '/fleet', 'provider-unreachable'])
  const token = await api.token('viewer')
  expect((await call('GET', '/v1/me', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
  const back = await openIdProvider({
    clientId: 'switchback',
    clientOrigin: url,
    people: PEOPLE,
    port: provider.port,
  })
  expect(troubleOf(await signIn('ann'))).toBeNull()
  await back.stop()
})

test('too many answers that lead to nothing from one address are told to wait', async () => {
  const { browser, url } = await world()
  const troubles = new Set<string | null>()
  for (let count = 0; count < 31; count++) {
    troubles.add(troubleOf((await browser.visit(`${url}/v1/sign-on/callback?state=${count}&code=x`)).url))
  }
  expect([...troubles]).toEqual(['expired', 'too-many'])
})

test('where nothing is set up, only tokens are offered', async () => {
  const url = await listening(testApi(store.db))
  expect(await (await fetch(`${url}/v1/sign-on`)).json()).toEqual({ offered: false })
  expect((await fetch(`${url}/v1/sign-on/start`)).status).toBe(404)
  const cookie = 'switchback-session=sbs_x'
  expect((await fetch(`${url}/v1/me`, { headers: { cookie } })).status).toBe(401)
})
