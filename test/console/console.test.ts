import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ADMIN } from '../e2e/service.ts'
import { findChromium } from './browser.ts'
import {
  advance,
  button,
  complaintsOf,
  consoleHarness,
  dialog,
  escaped,
  isWiderThanItsWindow,
} from './harness.ts'
import type { Made } from './scenery.ts'

const DIST = dirname(createRequire(import.meta.url).resolve('@switchback/console/index.html'))
const chromium = findChromium()
const made = (id: string): Made => ({ id, title: `Test of ${id}`, team: 'riders', rows: 200 })
const LIFE = made('whole-life')
const BACK = made('turned-round')
const LOOKED_AT = made('looked-at')

/** Files with what they weigh as they are sent, in bytes. */
async function weights(): Promise<ReadonlyMap<string, number>> {
  const names = await readdir(join(DIST, 'assets'))
  const weigh = async (name: string) =>
    gzipSync(await readFile(join(DIST, 'assets', name)), { level: 9 }).length
  return new Map(await Promise.all(names.map(async (name) => [name, await weigh(name)] as const)))
}

it('weighs no more than 200 kB as it is sent: all that is loaded before the overview is there', async () => {
  const all = await weights()
  const page = await readFile(join(DIST, 'index.html'), 'utf8')
  const first = [...page.matchAll(/assets\/([\w.-]+\.(?:js|css))/g)].map(([, name = '']) => name)
  expect(first.length).toBeGreaterThan(1)
  expect(first.reduce((sum, name) => sum + (all.get(name) ?? 0), 0)).toBeLessThanOrEqual(200_000)
  // Pages that are opened later are no place to let things grow either.
  expect([...all.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(240_000)
})

describe.skipIf(chromium === undefined)('the console in a browser', () => {
  const harness = consoleHarness(chromium ?? '', [LIFE, BACK, LOOKED_AT])
  const { open, phaseOf, toStandAt } = harness

  it('is signed in to with a token, and says what is wrong with a bad one', async () => {
    const page = await harness.browser.newPage()
    await page.goto(`${harness.scene.service.url}/fleet`)
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
    await harness.scene.advance(BACK.id, 'ramp')
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

    await page.goto(`${harness.scene.service.url}/incidents`)
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
      const why = page.locator(`#${escaped(await found.getAttribute('aria-describedby'))}`)
      expect(await why.textContent()).toMatch(/Your role is viewer; this takes operator/)
    }
    const before = await phaseOf(LOOKED_AT.id)
    await button(page, 'Advance').click({ force: true })
    expect(await dialog(page).count()).toBe(0)
    expect(await phaseOf(LOOKED_AT.id)).toEqual(before)
    await page.goto(`${harness.scene.service.url}/settings`)
    await page.getByText('Tokens are for admins').waitFor()
  })

  it.each([
    '/',
    `/migrations/${LOOKED_AT.id}/health`,
    `/migrations/${LIFE.id}/fleet`,
    `/migrations/${LIFE.id}/data`,
    `/migrations/${LIFE.id}/plan`,
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
    await page.setViewportSize({ width: 360, height: 780 })
    expect(await isWiderThanItsWindow(page)).toBe(false)
  })

  it('says that the connection is lost while the server is away, and comes back by itself', async () => {
    const page = await open('/')
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
    await harness.scene.restart(async () => {
      await page.getByText('Connection lost.').waitFor()
      await page.getByRole('status').filter({ hasText: 'Disconnected' }).waitFor()
    })
    await page.getByText('Connection lost.').waitFor({ state: 'hidden' })
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
    await harness.scene.service.call('POST', `/v1/migrations/${LOOKED_AT.id}/pause`, {})
    await page.getByText('The migration is paused.').waitFor()
  })
})
