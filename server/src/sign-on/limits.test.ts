import type { OpenIdProviderOptions } from '@switchback/test/support'
import { freePort, openIdProvider, testStore } from '@switchback/test/support'
import { afterAll, afterEach, expect, test } from 'vitest'
import { signOnWorlds, troubleOf } from './test-world.ts'

const store = await testStore()
const { open: world, clear } = signOnWorlds<Partial<OpenIdProviderOptions>>({
  db: store.db,
  freePort,
  openIdProvider,
})
afterEach(clear)
afterAll(() => store.drop())

test('whoever begins to sign in again and again from one address is told to wait a minute', async () => {
  const { browser, url, provider, api } = await world()
  const begin = async () => {
    const { headers } = await browser.step(`${url}/v1/sign-on/start`)
    return new URL(headers.get('location') ?? 'about:blank')
  }
  for (let count = 0; count < 120; count++) expect((await begin()).origin).toBe(provider.issuer)
  expect(troubleOf(await begin())).toBe('too-many')
  api.passTime(60_000)
  expect((await begin()).origin).toBe(provider.issuer)
})

test('the store is not filled by sign-ins that nobody finishes, and those that are over make room', async () => {
  const { browser, url, provider, api } = await world()
  const begin = async () => {
    const { headers } = await browser.step(`${url}/v1/sign-on/start`)
    return new URL(headers.get('location') ?? 'about:blank')
  }
  await store.db.query(
    `insert into sign_ons (state_hash, browser_hash, nonce, verifier, return_to, expires_at)
     select 's' || n, 'b', 'n', 'v', '/', $1 from generate_series(1, 9999) n`,
    [new Date(api.now() + 600_000)],
  )
  expect((await begin()).origin).toBe(provider.issuer)
  expect(troubleOf(await begin())).toBe('too-many')
  api.passTime(600_001)
  expect((await begin()).origin).toBe(provider.issuer)
  expect((await store.db.query('select from sign_ons')).rowCount).toBe(1)
})

test('sessions that are over are tried as often as bad tokens, and a good one passes even then', async () => {
  const { browser, url, signIn, statusOfMe } = await world()
  const cookie = 'switchback-session=sbs_over'
  const statuses: number[] = []
  for (let count = 0; count < 31; count++) {
    statuses.push((await fetch(`${url}/v1/me`, { headers: { cookie } })).status)
  }
  expect([statuses.slice(0, 30).every((status) => status === 401), statuses[30]]).toEqual([true, 429])
  await signIn('ann')
  expect([browser.cookiesFor(url).includes('switchback-session='), await statusOfMe()]).toEqual([true, 200])
})
