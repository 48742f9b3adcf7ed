import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { testDatabase, waitFor } from '@switchback/test/support'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ADMIN } from '../e2e/service.ts'
import { findChromium, launch, type Visited, visit } from './browser.ts'
import { openScene, type Scene } from './scene.ts'
import type { Made } from './scenery.ts'

const require = createRequire(import.meta.url)
const AXE = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8')
const chromium = findChromium()
const made = (id: string): Made => ({ id, title: `Test of ${id}`, team: 'riders', rows: 200 })
const LIFE = made('whole-life')
const BACK = made('turned-round')
const LOOKED_AT = made('looked-at')

it('weighs no more than 200 kB as it is sent', async () => {
  const folder = join(dirname(require.resolve('@switchback/console/index.html')), 'assets')
  const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))
  const sent = files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0)
  expect(sent).toBeLessThanOrEqual(200_000)
})

describe.skipIf(chromium === undefined)('the console in a browser', () => {
  let browser: Browser
  let scene: Scene
  const tokens = new Map<string, string>()
  const visited: Visited[] = []
  const cleanup: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    const [store, target] = await Promise.all([testDatabase(), testDatabase()])
    cleanup.push(
      () => store.drop(),
      () => target.drop(),
    )
    scene = await openScene({ storeUrl: store.url, targetUrl: target.url })
    cleanup.push(() => scene.stop())
    for (const each of [LIFE, BACK, LOOKED_AT]) await scene.register(each)
    await scene.addApplication('rides-api-a', [LIFE, BACK, LOOKED_AT])
    await scene.addApplication('rides-api-b', [LIFE, BACK, LOOKED_AT])
    for (const role of ['viewer', 'approver']) tokens.set(role, await scene.token(role))
    browser = await launch(chromium ?? '')
    cleanup.push(() => browser.close())
  })
  afterAll(async () => {
    for (const step of cleanup.reverse()) await step()
  })
  afterEach(async () => {
    // Of every test: no error, no broken policy, and nobody asked but the server itself.
    const all = visited.splice(0)
    for (const { page } of all) await page.close()
    expect(all.flatMap(({ complaints }) => complaints)).toEqual([])
    expect(all.flatMap(({ strangers }) => strangers)).toEqual([])
  })

  async function open(
    path: string,
    options: { as?: string; width?: number; dark?: boolean } = {},
  ): Promise<Page> {
    const { as, ...rest } = options
    const token = as === undefined ? ADMIN : (tokens.get(as) ?? '')
    const found = await visit(browser, { url: scene.service.url, token, ...rest })
    visited.push(found)
    await found.page.goto(scene.service.url + path)
    await found.page.locator('#content h1').waitFor()
    return found.page
  }

  const button = (page: Page, name: string | RegExp) =>
    page.getByRole('button', { name, exact: typeof name === 'string' })
  const dialog = (page: Page) => page.getByRole('dialog')
  const phaseOf = async (id: string) => {
    const { body } = await scene.service.call<{ state: { phase: string; epoch: number } }>(
      'GET',
      `/v1/migrations/${id}`,
    )
    return body.state
  }
  const toStandAt = (id: string, phase: string) =>
    waitFor(async () => (await phaseOf(id)).phase === phase, { what: `${id} to stand at ${phase}` })
  const pressable = (page: Page, name: string) =>
    page.locator(`button:not([aria-disabled=true])`, { hasText: new RegExp(`^${name}$`) })

  async function advance(page: Page): Promise<void> {
    await pressable(page, 'Advance').click()
    await dialog(page).getByRole('button', { name: 'Advance', exact: true }).click()
    await dialog(page).waitFor({ state: 'hidden' })
  }

  it('is signed in to with a token, and says what is wrong with a bad one', async () => {
    const page = await browser.newPage()
    await page.goto(`${scene.service.url}/fleet`)
    await page.getByLabel('Token').fill('nonsense')
    await button(page, 'Sign in').click()
    await page.getByRole('alert').or(page.getByText('unknown, expired or revoked')).first().waitFor()
    await page.getByLabel('Token').fill(ADMIN)
    await button(page, 'Sign in').click()
    await page.getByRole('heading', { name: 'Fleet' }).waitFor()
    await page.getByText('rides-api-a', { exact: true }).waitFor()
    await page.close()
  })

  it('leads a migration through its whole life by clicks alone, a second person approving', async () => {
    const page = await open(`/migrations/${LIFE.id}`)
    const second = await open(`/migrations/${LIFE.id}`, { as: 'approver' })
    for (const phase of ['expanded', 'dual-write', 'backfill', 'shadow', 'ramp', 'promoted', 'retired']) {
      await advance(page)
      await toStandAt(LIFE.id, phase)
      await page.locator('.meaning strong', { hasText: new RegExp(`^${phase}$`) }).waitFor()
    }
    await button(second, 'Approve contract').click()
    await advance(page)
    await toStandAt(LIFE.id, 'contracted')
    // Both are live: nobody has reloaded anything.
    await page.getByText('This migration has come to its end.').waitFor()
    await second.getByText('This migration has come to its end.').waitFor()
    await second.getByRole('tab', { name: 'Timeline' }).click()
    await second.getByText('Contract approved').waitFor()
  })

  it('reverts from the overview, from the migration and from the incident, at 360 pixels too', async () => {
    await scene.advance(BACK.id, 'ramp')
    const list = await open('/', { width: 360 })
    await button(list, `Revert ${BACK.id}`).click()
    await dialog(list).getByText('nobody is waited for').waitFor()
    await button(list, 'Revert to dual-write').click()
    await toStandAt(BACK.id, 'dual-write')
    await list.getByText('Latched until somebody re-arms it').waitFor()

    const page = await open(`/migrations/${BACK.id}`, { width: 360 })
    await button(page, 'Re-arm').click()
    await dialog(page).getByRole('button', { name: 'Re-arm' }).click()
    await dialog(page).waitFor({ state: 'hidden' })
    await button(page, 'Revert').click()
    await dialog(page)
      .getByLabel(/Reason/)
      .fill('Support tickets about empty receipts')
    await button(page, 'Revert to expanded').click()
    await toStandAt(BACK.id, 'expanded')

    await page.goto(`${scene.service.url}/incidents`)
    await page.getByRole('link', { name: /Support tickets about empty receipts/ }).click()
    await page.getByRole('heading', { name: 'Timeline' }).waitFor()
    await button(page, 'Revert').click()
    await button(page, 'Revert to planned').click()
    await toStandAt(BACK.id, 'planned')
  })

  it('shows a change in one window that was made in another, with pause and resume', async () => {
    const here = await open(`/migrations/${LOOKED_AT.id}`)
    const there = await open('/')
    await advance(here)
    await there.getByRole('article', { name: LOOKED_AT.id }).getByText('expanded', { exact: true }).waitFor()
    await button(here, 'Pause').click()
    await there.getByRole('article', { name: LOOKED_AT.id }).getByText('The migration is paused.').waitFor()
    await button(here, 'Resume').click()
    await there.getByRole('article', { name: LOOKED_AT.id }).getByText('Ready').waitFor()
  })

  it('shows a viewer everything, lets change nothing, and says why', async () => {
    const page = await open(`/migrations/${LOOKED_AT.id}`, { as: 'viewer' })
    for (const name of ['Revert', 'Pause', 'Advance']) {
      const found = button(page, name)
      expect(await found.getAttribute('aria-disabled')).toBe('true')
      const why = page.locator(`#${CSS_ESCAPE(await found.getAttribute('aria-describedby'))}`)
      expect(await why.textContent()).toMatch(/Your role is viewer; this takes operator/)
    }
    const before = await phaseOf(LOOKED_AT.id)
    await button(page, 'Advance').click({ force: true })
    expect(await dialog(page).count()).toBe(0)
    expect(await phaseOf(LOOKED_AT.id)).toEqual(before)
    await page.goto(`${scene.service.url}/settings`)
    await page.getByText('Tokens are for admins').waitFor()
  })

  it.each([
    '/',
    `/migrations/${LOOKED_AT.id}/health`,
    `/migrations/${LIFE.id}/fleet`,
    `/migrations/${LIFE.id}/data`,
    `/migrations/${LIFE.id}/sql`,
    `/migrations/${LIFE.id}/timeline`,
    `/migrations/${LIFE.id}/definition`,
    '/incidents',
    '/fleet',
    '/flags',
    '/alerts',
    '/audit',
    '/settings',
  ])('has nothing that axe complains of at %s, light and dark', async (path) => {
    const page = await open(path)
    await page.waitForLoadState('networkidle')
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme })
      expect(await complaintsOf(page)).toEqual([])
    }
  })

  it('says that the connection is lost while the server is away, and comes back by itself', async () => {
    const page = await open('/')
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
    await scene.restart(async () => {
      await page.getByText('Connection lost.').waitFor()
      await page.getByRole('status').filter({ hasText: 'Disconnected' }).waitFor()
    })
    await page.getByText('Connection lost.').waitFor({ state: 'hidden' })
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
    await scene.service.call('POST', `/v1/migrations/${LOOKED_AT.id}/pause`, {})
    await page.getByText('The migration is paused.').waitFor()
  })

  /** What axe finds: the rule, and where. */
  async function complaintsOf(page: Page): Promise<readonly string[]> {
    await page.evaluate(AXE)
    return await page.evaluate(
      `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }).then(({ violations }) =>
        violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + failureSummary)))`,
    )
  }
})

/** React's ids hold characters that selectors take for their own. */
const CSS_ESCAPE = (id: string | null): string => (id ?? '').replace(/[^\w-]/g, (sign) => `\\${sign}`)
