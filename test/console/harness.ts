import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { testDatabase, waitFor } from '@switchback/test/support'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { ADMIN } from '../e2e/service.ts'
import { launch, type Visited, visit } from './browser.ts'
import { openScene, type Scene } from './scene.ts'
import type { Made } from './scenery.ts'

const require = createRequire(import.meta.url)
const AXE = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8')

interface OpenOptions {
  /** Role; an admin where not given. */
  readonly as?: string
  readonly width?: number
  readonly dark?: boolean
}

export interface ConsoleHarness {
  readonly scene: Scene
  readonly browser: Browser
  open(path: string, options?: OpenOptions): Promise<Page>
  phaseOf(id: string): Promise<{ readonly phase: string; readonly epoch: number }>
  toStandAt(id: string, phase: string): Promise<void>
}

/**
 * A server with instances and a browser for the tests of one file; and of every test: no error, no broken
 * policy, and nobody asked but the server itself.
 */
export function consoleHarness(chromium: string, migrations: readonly Made[]): ConsoleHarness {
  let browser: Browser | undefined
  let scene: Scene | undefined
  const tokens = new Map<string, string>()
  const visited: Visited[] = []
  const cleanup: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    const [store, target] = await Promise.all([testDatabase(), testDatabase()])
    cleanup.push(
      () => store.drop(),
      () => target.drop(),
    )
    const opened = await openScene({ storeUrl: store.url, targetUrl: target.url })
    scene = opened
    cleanup.push(() => opened.stop())
    for (const each of migrations) await opened.register(each)
    await opened.addApplication('rides-api-a', migrations)
    await opened.addApplication('rides-api-b', migrations)
    for (const role of ['viewer', 'operator', 'approver']) tokens.set(role, await opened.token(role))
    const launched = await launch(chromium)
    browser = launched
    cleanup.push(() => launched.close())
  })
  afterAll(async () => {
    for (const step of cleanup.reverse()) await step()
  })
  afterEach(async () => {
    const all = visited.splice(0)
    for (const { page } of all) await page.close()
    expect(all.flatMap(({ complaints }) => complaints)).toEqual([])
    expect(all.flatMap(({ strangers }) => strangers)).toEqual([])
  })

  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('used before the tests have begun')
    return value
  }
  const phaseOf: ConsoleHarness['phaseOf'] = async (id) => {
    const { body } = await there(scene).service.call<{ state: { phase: string; epoch: number } }>(
      'GET',
      `/v1/migrations/${id}`,
    )
    return body.state
  }
  return {
    get scene() {
      return there(scene)
    },
    get browser() {
      return there(browser)
    },
    open: async (path, { as, ...rest } = {}) => {
      const { url } = there(scene).service
      const token = as === undefined ? ADMIN : (tokens.get(as) ?? '')
      const found = await visit(there(browser), { url, token, ...rest })
      visited.push(found)
      await found.page.goto(url + path)
      await found.page.locator('#content h1').waitFor()
      return found.page
    },
    phaseOf,
    toStandAt: async (id, phase) => {
      await waitFor(async () => (await phaseOf(id)).phase === phase, { what: `${id} to stand at ${phase}` })
    },
  }
}

export const button = (page: Page, name: string | RegExp): Locator =>
  page.getByRole('button', { name, exact: typeof name === 'string' })
export const dialog = (page: Page): Locator => page.getByRole('dialog')
const pressable = (page: Page, name: string): Locator =>
  page.locator(`button:not([aria-disabled=true])`, { hasText: new RegExp(`^${name}$`) })

/** By clicks alone. */
export async function advance(page: Page): Promise<void> {
  await pressable(page, 'Advance').click()
  await dialog(page).getByRole('button', { name: 'Advance', exact: true }).click()
  await dialog(page).waitFor({ state: 'hidden' })
}

/** What axe finds: the rule, and where. */
export async function complaintsOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE)
  return await page.evaluate(
    `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + failureSummary)))`,
  )
}

/** Whether the page can be pushed sideways, which on a phone hides half of it. */
export const isWiderThanItsWindow = (page: Page): Promise<boolean> =>
  page.evaluate<boolean>('document.documentElement.scrollWidth > document.documentElement.clientWidth')

/** React's ids hold characters that selectors take for their own. */
export const escaped = (id: string | null): string => (id ?? '').replace(/[^\w-]/g, (sign) => `\\${sign}`)
