import { testDatabase, waitFor } from '@switchback/test/support'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADMIN } from '../e2e/service.ts'
import { findChromium, launch, visit } from './browser.ts'
import { openScene, type Scene } from './scene.ts'

const chromium = findChromium()
const SHARED = {
  key: 'shorter-receipts',
  description: 'Receipts on one page',
  enabled: true,
  variants: { long: false, short: true },
  defaultVariant: 'long',
  offVariant: 'long',
  rules: [{ share: '12.5%', variant: 'short' }],
}

describe.skipIf(chromium === undefined)('the flags of the console', () => {
  let browser: Browser
  let scene: Scene
  const cleanup: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    const [store, target] = await Promise.all([testDatabase(), testDatabase()])
    cleanup.push(
      () => store.drop(),
      () => target.drop(),
    )
    scene = await openScene({ storeUrl: store.url, targetUrl: target.url })
    cleanup.push(() => scene.stop())
    expect((await scene.service.call('POST', '/v1/flags', SHARED)).status).toBe(201)
    browser = await launch(chromium ?? '')
    cleanup.push(() => browser.close())
  })
  afterAll(async () => {
    for (const step of cleanup.reverse()) await step()
  })

  const stored = async () =>
    (await scene.service.call<Record<string, unknown>>('GET', `/v1/flags/${SHARED.key}`)).body
  const open = async (token = ADMIN): Promise<Page> => {
    const { page } = await visit(browser, { url: scene.service.url, token })
    await page.goto(`${scene.service.url}/flags`)
    await page.getByRole('button', { name: SHARED.key, exact: true }).waitFor()
    return page
  }

  it('are turned off and on again with all that they say, a share among it', async () => {
    const before = await stored()
    const page = await open()
    await page.getByText('12.5 % of keys').waitFor()
    await page.getByRole('button', { name: `Turn ${SHARED.key} off` }).click()
    await page.getByRole('button', { name: `Turn ${SHARED.key} on` }).waitFor()
    expect(await stored()).toMatchObject({ enabled: false, rules: [{ share: 0.125, variant: 'short' }] })
    await page.getByRole('button', { name: `Turn ${SHARED.key} on` }).click()
    await page.getByRole('button', { name: `Turn ${SHARED.key} off` }).waitFor()
    const { revision: _before, updatedAt: _then, ...was } = before
    const { revision: _after, updatedAt: _now, ...is } = await stored()
    expect(is).toEqual(was)
    await page.close()
  })

  it('show at once what somebody else has changed: news comes by the socket, and nothing else would tell', async () => {
    const page = await open()
    await page.locator('html[data-connection=live]').waitFor({ state: 'attached' })
    const turned = (enabled: boolean) =>
      scene.service.call('PUT', `/v1/flags/${SHARED.key}`, { ...SHARED, enabled })
    expect((await turned(false)).status).toBe(200)
    await page.getByRole('button', { name: `Turn ${SHARED.key} on` }).waitFor()
    expect((await turned(true)).status).toBe(200)
    await page.getByRole('button', { name: `Turn ${SHARED.key} off` }).waitFor()
    await page.close()
  })

  it('can be asked what they would say to somebody, and why', async () => {
    const page = await open()
    await page.getByRole('button', { name: SHARED.key, exact: true }).click()
    await page.getByLabel('Further attributes, as JSON').fill('[1]')
    await page.getByRole('button', { name: 'Evaluate' }).click()
    await page.getByText('must be a JSON object').waitFor()
    await page.getByLabel('Further attributes, as JSON').fill('')
    await page.getByRole('button', { name: 'Evaluate' }).click()
    await page.getByText('TARGETING_MATCH', { exact: true }).waitFor()
    await page.close()
  })

  it('are left alone by who may only look', async () => {
    const page = await open(await scene.token('viewer'))
    const turn = page.getByRole('button', { name: `Turn ${SHARED.key} off` })
    expect(await turn.getAttribute('aria-disabled')).toBe('true')
    const before = await stored()
    await turn.click({ force: true })
    // Whatever that has asked for is answered before this.
    await page.getByRole('button', { name: SHARED.key, exact: true }).click()
    await waitFor(async () => (await page.getByLabel('Flag', { exact: true }).inputValue()) === SHARED.key)
    expect(await stored()).toEqual(before)
    await page.close()
  })
})
