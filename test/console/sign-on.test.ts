import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import {
  freePort,
  type OpenIdProvider,
  openIdProvider,
  testDatabase,
  waitFor,
} from '@switchback/test/support'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findChromium, launch } from './browser.ts'
import { openScene, type Scene } from './scene.ts'
import type { Made } from './scenery.ts'

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const chromium = findChromium()
const TURNED: Made = { id: 'turned-by-ann', title: 'Test of single sign-on', team: 'riders', rows: 200 }

const PEOPLE = {
  ann: { email: 'ann@example.com', email_verified: true, groups: ['platform'] },
  vic: { email: 'vic@example.com', email_verified: true, groups: ['everybody'] },
  cid: { email: 'cid@example.com', email_verified: true, groups: ['kitchen'] },
}

describe.skipIf(chromium === undefined)('signing in by a provider in a browser', () => {
  let browser: Browser
  let scene: Scene
  let provider: OpenIdProvider
  const cleanup: (() => Promise<unknown>)[] = []
  const complaints: string[] = []

  beforeAll(async () => {
    const [store, target, port] = await Promise.all([testDatabase(), testDatabase(), freePort()])
    cleanup.push(
      () => store.drop(),
      () => target.drop(),
    )
    const origin = `http://127.0.0.1:${port}`
    provider = await openIdProvider({ clientId: 'switchback', clientOrigin: origin, people: PEOPLE })
    cleanup.push(() => provider.stop())
    scene = await openScene({
      storeUrl: store.url,
      targetUrl: target.url,
      port,
      environment: {
        PUBLIC_URL: origin,
        OIDC_ISSUER: provider.issuer,
        OIDC_CLIENT_ID: 'switchback',
        OIDC_NAME: 'Test Provider',
        OIDC_SCOPES: 'openid profile email groups',
        OIDC_ROLES: 'admin=platform; viewer=everybody',
      },
    })
    cleanup.push(() => scene.stop())
    await scene.register(TURNED)
    await scene.addApplication('rides-api-a', [TURNED])
    await scene.advance(TURNED.id, 'ramp')
    browser = await launch(chromium ?? '')
    cleanup.push(() => browser.close())
  })
  afterAll(async () => {
    for (const step of cleanup.reverse()) await step()
  })
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close()
    expect(complaints.splice(0)).toEqual([])
  })

  /** A window with cookies of its own. */
  async function open(path: string, width = 1280): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width, height: 860 },
      reducedMotion: 'reduce',
    })
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      if (/Content Security Policy|Minified React error/.test(message.text())) complaints.push(message.text())
    })
    await page.goto(scene.service.url + path)
    return page
  }

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
  const way = (page: Page) => page.getByRole('link', { name: 'Sign in with Test Provider' })
  async function signIn(page: Page, who: keyof typeof PEOPLE | 'Cancel'): Promise<void> {
    await way(page).click()
    await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
    await button(page, who).click()
  }
  const phaseOf = async () =>
    (await scene.service.call<{ state: { phase: string } }>('GET', `/v1/migrations/${TURNED.id}`)).body.state
      .phase

  it('comes back to the page, is live, and a revert bears the name of the person', async () => {
    const page = await open(`/migrations/${TURNED.id}/timeline`)
    await signIn(page, 'ann')
    await page.getByRole('heading', { name: TURNED.id, exact: true }).waitFor()
    expect(new URL(page.url()).pathname).toBe(`/migrations/${TURNED.id}/timeline`)
    await page.getByText('ann@example.com', { exact: true }).waitFor()
    await page.getByText('admin, by Test Provider').waitFor()
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()

    await button(page, 'Revert').click()
    await button(page, 'Revert to dual-write').click()
    await waitFor(async () => (await phaseOf()) === 'dual-write', { what: 'the revert' })
    // By the socket, which the cookie has opened: nobody has reloaded anything.
    await page.getByText('Latched').first().waitFor()
    const { body } = await scene.service.call<{ events: { kind: string; actor: string }[] }>(
      'GET',
      `/v1/migrations/${TURNED.id}/events`,
    )
    expect(body.events.find(({ kind }) => kind === 'migration.reverted')?.actor).toBe('ann@example.com')
  })

  it('keeps the session over a restart of the server', async () => {
    const page = await open('/fleet')
    await signIn(page, 'ann')
    await page.getByRole('heading', { name: 'Fleet' }).waitFor()
    await scene.restart(async () => {
      await page.getByText('Connection lost.').waitFor()
    })
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Fleet' }).waitFor()
  })

  it('shows a viewer everything, lets change nothing, and says where roles come from', async () => {
    const page = await open(`/migrations/${TURNED.id}`)
    await signIn(page, 'vic')
    for (const name of ['Revert', 'Pause', 'Advance']) {
      const found = button(page, name)
      await found.waitFor()
      expect(await found.getAttribute('aria-disabled')).toBe('true')
      const id = (await found.getAttribute('aria-describedby')) ?? ''
      expect(await page.locator(`[id="${id}"]`).textContent()).toMatch(
        /Your role is viewer; this takes operator.* Roles come from your groups at Test Provider\./,
      )
    }
  })

  it('signs out here and at the provider, which asks anew who it is', async () => {
    const page = await open('/flags')
    await signIn(page, 'ann')
    await button(page, 'Sign out').click()
    await page.getByRole('heading', { name: 'Sign out of the provider?' }).waitFor()
    await button(page, 'Yes').click()
    await way(page).waitFor()
    expect(new URL(page.url()).pathname).toBe('/')
    await page.goto(`${scene.service.url}/flags`)
    await way(page).click()
    await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
  })

  it('says when a session was ended, and comes back to the same page', async () => {
    const page = await open('/incidents')
    await signIn(page, 'vic')
    await page.getByRole('heading', { name: 'Incidents' }).waitFor()
    const list = await scene.service.call<{ sessions: { id: string; name: string }[] }>('GET', '/v1/sessions')
    for (const { id, name } of list.body.sessions) {
      if (name === 'vic@example.com') await scene.service.call('DELETE', `/v1/sessions/${id}`)
    }
    await page.getByText('Your session has ended').waitFor()
    expect(new URL(page.url()).pathname).toBe('/incidents')
    await way(page).click()
    await page.getByRole('heading', { name: 'Incidents' }).waitFor()
  })

  it.each([
    ['cid', 'You have no role here'],
    ['Cancel', 'You did not sign in'],
  ] as const)('says in plain words why somebody is not let in: %s', async (who, words) => {
    const page = await open('/audit', 360)
    await signIn(page, who)
    await page.getByRole('alert').filter({ hasText: words }).waitFor()
    expect(new URL(page.url()).search).toBe('')
    await page.evaluate(AXE)
    const found = await page.evaluate(
      `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }).then(({ violations }) => violations.map(({ id }) => id))`,
    )
    expect(found).toEqual([])
    await page.reload()
    await way(page).waitFor()
    expect(await page.getByText(words).count()).toBe(0)
  })

  it('lets a token in beside it, and does not sign in as somebody else after signing out of that', async () => {
    const page = await open('/fleet')
    await signIn(page, 'ann')
    await page.getByRole('heading', { name: 'Fleet' }).waitFor()
    const token = await scene.token('viewer')
    await page.evaluate(`sessionStorage.setItem('switchback.token', ${JSON.stringify(token)})`)
    await page.reload()
    await page.getByText('viewer, by token').waitFor()
    await button(page, 'Sign out').click()
    await way(page).waitFor()
    await page.getByLabel('Token').waitFor()
    expect(await page.getByText('ann@example.com').count()).toBe(0)
  })

  it('lists to an admin who is signed in, and ends a session', async () => {
    const other = await open('/')
    await signIn(other, 'vic')
    await other.getByText('viewer, by Test Provider').waitFor()
    const page = await open('/settings')
    await signIn(page, 'ann')
    await button(page, 'End the session of vic@example.com').first().click()
    await page.getByRole('dialog').getByRole('button', { name: 'End the session' }).click()
    await other.getByText('Your session has ended').waitFor()
  })
})
