import { waitFor } from '@switchback/test/support'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { findChromium } from './browser.ts'
import { button, complaintsOf, consoleHarness, dialog, isWiderThanItsWindow } from './harness.ts'
import type { Made } from './scenery.ts'

const chromium = findChromium()
/** Copied slowly, with one row that does not fit. */
const COPIED: Made = {
  id: 'copied-slowly',
  title: 'Test of data',
  team: 'riders',
  rows: 4_000,
  copying: '  chunk: { min: 50, max: 50 }\n  throttle: { rowsPerSecond: 100 }\n',
  unfit: [17],
}
const STRAYED: Made = { id: 'strayed', title: 'Test of verification', team: 'riders', rows: 300 }

describe.skipIf(chromium === undefined)('the data of a migration in the console', () => {
  const harness = consoleHarness(chromium ?? '', [COPIED, STRAYED])
  const { open } = harness
  const works = async (id: string) =>
    (
      await harness.scene.service.call<{ works: { kind: string; status: string }[] }>(
        'GET',
        `/v1/migrations/${id}/works`,
      )
    ).body.works
  const ended = (id: string, kind: string) =>
    waitFor(async () => (await works(id)).some((work) => work.kind === kind && work.status === 'done'), {
      what: `${kind} of ${id} to end`,
    })
  const throttle = async () =>
    (
      await harness.scene.service.call<{ state: { throttle?: object; backfillOn: boolean } }>(
        'GET',
        `/v1/migrations/${COPIED.id}`,
      )
    ).body.state
  const limits = async (page: Page, values: Readonly<Record<string, string>>) => {
    await button(page, 'Change limits').click()
    for (const [label, value] of Object.entries(values)) await dialog(page).getByLabel(label).fill(value)
    await dialog(page).getByRole('button', { name: 'Set', exact: true }).click()
  }

  it('is copied under limits that are changed while it runs, and held by its flag', async () => {
    await harness.scene.advance(COPIED.id, 'backfill')
    const page = await open(`/migrations/${COPIED.id}/data`)
    await page.getByText('at most 100', { exact: true }).waitFor()
    await limits(page, { 'Rows copied in a second': '120', 'Lag of the slowest replica': 'soon' })
    // What the server thinks of it is said where it was typed.
    await dialog(page).getByText('expected a number and a unit').first().waitFor()
    await dialog(page).getByLabel('Lag of the slowest replica').fill('')
    await dialog(page).getByLabel('Age of the oldest transaction').fill('10m')
    await dialog(page).getByRole('button', { name: 'Set', exact: true }).click()
    await page.getByText('at most 120', { exact: true }).waitFor()
    await page.getByText('at most 10m', { exact: true }).waitFor()
    expect((await throttle()).throttle).toEqual({ rowsPerSecond: 120, longTransaction: 600_000 })

    await button(page, 'Hold copying').click()
    await page.getByText(`${COPIED.id}.backfill says off`).waitFor()
    expect((await throttle()).backfillOn).toBe(false)
    await button(page, 'Let copying run').click()
    await page.getByText(`${COPIED.id}.backfill says on`).waitFor()
    // Worker by worker, and chunk by chunk.
    await page.getByRole('columnheader', { name: 'Pace' }).waitFor()
    const strip = page.getByRole('slider', { name: 'Chunk of the copy' })
    await strip.focus()
    await page.keyboard.press('Home')
    await page.getByText(/^Up to key \d+: \d+ rows, \d+ of them written, slowest/).waitFor()
    expect(await strip.getAttribute('aria-valuetext')).toMatch(/^Up to key/)
    await limits(page, { 'Rows copied in a second': '' })
    await page.getByText('no limit', { exact: true }).waitFor()
    await ended(COPIED.id, 'backfill')
  })

  it('shows the row that did not fit, the key that waits for repair, and both paths of it; mended, it is copied', async () => {
    const page = await open(`/migrations/${COPIED.id}/data`)
    await page
      .getByRole('cell', { name: /violates check constraint/ })
      .first()
      .waitFor()
    await page.locator('.heat .cell.failed').waitFor()
    await harness.scene.sql(
      `insert into switchback.repairs (migration, key, path, epoch, reason, queued_at)
       values ('${COPIED.id}', '17', 'new', 3, 'the second write failed', now() - interval '2 hours')`,
    )
    await page.getByText('the second write failed').waitFor()
    await page.getByText(/The oldest was queued 2 h/).waitFor()
    await button(page, 'Look at key 17 as it is now').click()
    await dialog(page).getByText('Only old has this key now').waitFor()
    await dialog(page).getByRole('cell', { name: 'unfit' }).waitFor()
    expect(await complaintsOf(page)).toEqual([])
    await page.keyboard.press('Escape')
    await harness.scene.sql(`update copied_slowly_v1 set payload = 'mended' where id = 17`)
    await button(page, 'Retry backfill').click()
    await page
      .getByText(/rows? could not be copied/)
      .first()
      .waitFor({ state: 'detached' })
  })

  it('is verified with the keys that differed, old and new beside each other', async () => {
    await harness.scene.advance(STRAYED.id, 'backfill')
    await ended(STRAYED.id, 'backfill')
    await harness.scene.sql(`update strayed_v2 set payload = 'by hand' where id = 41;
      delete from strayed_v2 where id = 77`)
    await harness.scene.advance(STRAYED.id, 'shadow')
    await ended(STRAYED.id, 'verify')
    const page = await open(`/migrations/${STRAYED.id}/data`)
    const both = page.getByRole('table', { name: 'Key 41 when it was verified' })
    await both.getByRole('cell', { name: 'row 41', exact: true }).waitFor()
    await both.getByRole('cell', { name: 'by hand', exact: true }).waitFor()
    await page.getByText('Row was missing, repaired').waitFor()
    await button(page, 'Look at key 41 as it is now').click()
    await dialog(page).getByText('Both paths agree now').waitFor()
  })

  it('is for a viewer to see, and not to touch', async () => {
    const page = await open(`/migrations/${COPIED.id}/data`, { as: 'viewer' })
    for (const name of ['Hold copying', 'Change limits'])
      expect(await button(page, name).getAttribute('aria-disabled')).toBe('true')
    await page.getByRole('slider', { name: 'Chunk of the copy' }).waitFor()
  })

  it.each(['light', 'dark'] as const)('has limits to change on a phone, %s', async (scheme) => {
    const page = await open(`/migrations/${COPIED.id}/data`, { width: 360, dark: scheme === 'dark' })
    await button(page, 'Change limits').click()
    await dialog(page).getByLabel('Rows copied in a second').waitFor()
    expect(await complaintsOf(page)).toEqual([])
    expect(await isWiderThanItsWindow(page)).toBe(false)
  })
})
