import { waitFor } from '@switchback/test/support'
import { describe, expect, it } from 'vitest'
import { findChromium } from './browser.ts'
import { button, complaintsOf, consoleHarness, dialog, isWiderThanItsWindow } from './harness.ts'
import type { Made } from './scenery.ts'

const chromium = findChromium()
const PLANNED: Made = {
  id: 'planned-well',
  title: 'Test of plan',
  team: 'riders',
  rows: 100,
  more: 'tripwires:\n  - { watch: error-rate, path: new, above: 2%, window: 1m, samples: 200, do: notify }\n',
}

describe.skipIf(chromium === undefined)('daily work in the console', () => {
  const harness = consoleHarness(chromium ?? '', [PLANNED])
  const { open } = harness
  const at = (tab: string) => `/migrations/${PLANNED.id}/${tab}`

  it('runs the files on a copy of the schema, and shows beside each statement what it locks', async () => {
    const page = await open(at('sql'))
    await page.getByText('Expected', { exact: true }).first().waitFor()
    await button(page, 'Run it').click()
    await page.getByText('Every statement ran').waitFor()
    const contract = page.getByRole('region', { name: 'contract.sql' })
    await contract.getByText('Seen', { exact: true }).waitFor()
    await contract.getByText('Holds up traffic').waitFor()
    await contract.getByText('ACCESS EXCLUSIVE').waitFor()
    // For everybody, whoever has run it.
    const viewer = await open(at('sql'), { as: 'viewer' })
    await viewer.getByText('Every statement ran').waitFor()
    expect(await button(viewer, 'Run it again').getAttribute('aria-disabled')).toBe('true')
  })

  it('tells the plan ahead: what each step waits for, where one comes back from, and from where on slowly', async () => {
    await harness.scene.advance(PLANNED.id, 'dual-write')
    const page = await open(at('plan'))
    const steps = page.locator('.plan > li')
    await steps.getByText('From here the way back is slow.').waitFor()
    const texts = await steps.allTextContents()
    const turn = texts.findIndex((text) => text.startsWith('From here the way back is slow'))
    expect(texts[turn - 1]).toMatch(/^promoted.*At once.*Back to dual-write/)
    expect(texts[turn + 1]).toMatch(/^retired.*Slow.*reverse backfill/)
    expect(await page.locator('.plan > li[aria-current=step]').textContent()).toMatch(/^dual-write now/)
  })

  it('finds what was changed by hand when it is asked, and takes it as it is with a reason', async () => {
    const page = await open(at('plan'))
    await button(page, 'Look now').click()
    await page.getByText('Nothing was changed by hand').waitFor()
    await harness.scene.sql('alter table planned_well_v2 add column by_hand int')
    await button(page, 'Look now').click()
    await page
      .getByText(/by_hand/)
      .first()
      .waitFor()
    await button(page, 'Accept as it is').click()
    await dialog(page).getByLabel('Reason').fill('It was agreed')
    await dialog(page).getByRole('button', { name: 'Accept', exact: true }).click()
    await page.getByText('Nothing was changed by hand').waitFor()
  })

  it('makes, changes and removes a flag with a share that needs a schema, and turns it off and on', async () => {
    const page = await open('/flags', { as: 'operator' })
    await button(page, 'New flag').click()
    await dialog(page).getByLabel('Key', { exact: true }).fill('badges')
    await button(page, 'Add a rule').click()
    await dialog(page).getByLabel('Share, %').fill('12.5')
    await dialog(page).getByLabel('By default').selectOption('off')
    await dialog(page).getByRole('combobox', { name: 'Migration' }).selectOption(PLANNED.id)
    await dialog(page).getByRole('combobox', { name: 'From which phase on' }).selectOption('ramp')
    expect(await complaintsOf(page)).toEqual([])
    await button(page, 'Make it').click()
    await page.getByText('everybody, 12.5 % of keys: on').waitFor()
    await page.getByText(`Needs ${PLANNED.id} at ramp or later.`).waitFor()
    await button(page, 'badges').click()
    await page.getByRole('region', { name: 'Evaluate' }).getByRole('button', { name: 'Evaluate' }).click()
    await page.getByText('DISABLED').waitFor()

    await button(page, 'Turn badges off').click()
    await button(page, 'Turn badges on').click()
    await button(page, 'Turn badges off').waitFor()
    await button(page, 'Change badges').click()
    await dialog(page).getByLabel('What it is for').fill('Badges beside the name')
    await dialog(page).getByLabel('Attribute').fill('country')
    await dialog(page).getByLabel('is one of').fill('BD, "in, or near"')
    await button(page, 'Save').click()
    await page.getByText('country in BD, in, or near, 12.5 % of keys: on').waitFor()
    const { body } = await harness.scene.service.call<{ rules: unknown }>('GET', '/v1/flags/badges')
    expect(body.rules).toEqual([
      { when: { attribute: 'country', in: ['BD', 'in, or near'] }, share: 0.125, variant: 'on' },
    ])
    await button(page, 'Remove badges').click()
    await dialog(page).getByRole('button', { name: 'Remove', exact: true }).click()
    await page.getByRole('button', { name: 'badges', exact: true }).waitFor({ state: 'detached' })
  })

  it('registers an alert source with what to paste there, sees its delivery, and changes its secret', async () => {
    const page = await open('/settings')
    await button(page, 'New alert source').click()
    await dialog(page).getByLabel('System').selectOption('alertmanager')
    await dialog(page).getByLabel('Name, part of its address').fill('prod')
    await button(page, 'Register').click()
    const pasted = await dialog(page).locator('pre').textContent()
    expect(pasted).toContain(`url: ${harness.scene.service.url}/v1/hooks/prod`)
    const secret = /credentials: (\S+)/.exec(pasted ?? '')?.[1] ?? ''
    await button(page, 'It is set up').click()
    await page.getByRole('row', { name: /prod Alertmanager all migrations none yet/ }).waitFor()
    const deliver = async (by: string) =>
      (
        await harness.scene.service.call(
          'POST',
          '/v1/hooks/prod',
          { version: '4', status: 'firing', alerts: [], groupKey: '{}', receiver: 'x' },
          by,
        )
      ).status
    expect(await deliver(secret)).toBe(202)
    await page.reload()
    await page.getByRole('row', { name: /prod Alertmanager all migrations (just now|\d)/ }).waitFor()

    await button(page, 'Set up prod, change its secrets').click()
    await button(page, 'Make a new secret').click()
    await dialog(page).getByText('The new secret is shown this once only').waitFor()
    const newer =
      /credentials: (\S+)/.exec((await dialog(page).locator('pre').textContent()) ?? '')?.[1] ?? ''
    expect(await Promise.all([deliver(secret), deliver(newer)])).toEqual([202, 202])
    expect(await complaintsOf(page)).toEqual([])
    await button(page, /End it, the older secret, of admin/).click()
    await dialog(page).getByText('Older, still good').waitFor({ state: 'detached' })
    expect(await Promise.all([deliver(secret), deliver(newer)])).toEqual([401, 202])
    await button(page, 'End this source').click()
    await button(page, 'End it for good').click()
    await dialog(page).waitFor({ state: 'hidden' })
    expect(await deliver(newer)).not.toBe(202)
  })

  it('freezes a target with a reason, on a phone too, and says until when', async () => {
    const page = await open('/settings', { width: 360 })
    await page.getByText('May begin now').waitFor()
    await button(page, 'Set windows and freezes of main').click()
    await button(page, 'Freeze from today on: 3 days').click()
    await dialog(page).getByLabel('Reason').fill('The big sale')
    expect(await complaintsOf(page)).toEqual([])
    expect(await isWiderThanItsWindow(page)).toBe(false)
    await dialog(page).getByRole('button', { name: 'Set', exact: true }).click()
    await page.getByText('Frozen', { exact: true }).waitFor()
    await page.getByText(/opens in 2 d|opens in 3 d/).waitFor()
    await page.getByText(/The big sale/).waitFor()
    await button(page, 'Set windows and freezes of main').click()
    await dialog(page).getByLabel('Freezes, one on each line').fill('')
    await dialog(page).getByLabel('Reason').fill('It is over')
    await dialog(page).getByRole('button', { name: 'Set', exact: true }).click()
    await page.getByText('May begin now').waitFor()
  })

  it('draws what was measured before the server was restarted, with each change of the epoch as a mark', async () => {
    for (const application of harness.scene.applications) application.traffic(20)
    const health = async () =>
      (
        await harness.scene.service.call<{
          points: { at: number; old?: { operations: number } }[]
          changes: { phase: string }[]
        }>('GET', `/v1/migrations/${PLANNED.id}/health`)
      ).body
    await waitFor(async () => ((await health()).points[0]?.old?.operations ?? 0) > 0, {
      what: 'something to be measured',
    })
    await harness.scene.restart(async () => {})
    const { points, changes } = await health()
    expect(points[0]?.old?.operations).toBeGreaterThan(0)
    expect(changes.map(({ phase }) => phase)).toEqual(['expanded', 'dual-write'])
    const page = await open(at('health'))
    await page.getByRole('img', { name: /Error rate of planned-well/ }).waitFor()
    await page
      .getByText(/of \d+ operations/)
      .first()
      .waitFor()
    await page.getByText('2 changes of the epoch in this time').click()
    await page.getByText(/epoch 3: dual-write/).waitFor()
    for (const range of ['1 hour', '6 hours', '1 day', '7 days']) {
      await button(page, range).click()
      await page.getByRole('img', { name: /Latency of planned-well/ }).waitFor()
    }
  })

  it('says so where a page cannot be fetched, and the others go on', async () => {
    const page = await open('/')
    await page.route(/assets\/fleet-page/, (route) => route.abort())
    await page.getByRole('link', { name: 'Fleet' }).click()
    await page.getByRole('heading', { name: 'This page cannot be shown' }).waitFor()
    await page.getByRole('link', { name: 'Alerts' }).click()
    await page.getByRole('heading', { name: 'Alerts' }).waitFor()
  })
})
