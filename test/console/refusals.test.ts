import { describe, expect, it } from 'vitest'
import { findChromium } from './browser.ts'
import { button, consoleHarness, dialog, escaped } from './harness.ts'
import type { Made } from './scenery.ts'

const chromium = findChromium()
const HELD: Made = { id: 'held-back', title: 'Test of refusals', team: 'riders', rows: 50 }

describe.skipIf(chromium === undefined)('what may not be done', () => {
  const harness = consoleHarness(chromium ?? '', [HELD])
  const { open, phaseOf, toStandAt } = harness
  const post = (command: string, body: object) =>
    harness.scene.service.call('POST', `/v1/migrations/${HELD.id}/${command}`, body)

  it('is not done by the button alone: a revert is asked about once more, and can be left', async () => {
    await harness.scene.advance(HELD.id, 'dual-write')
    const page = await open(`/migrations/${HELD.id}`)
    const before = await phaseOf(HELD.id)
    await button(page, 'Revert').click()
    await button(page, 'Revert to expanded').waitFor()
    await button(page, 'Leave it as it is').click()
    await dialog(page).waitFor({ state: 'hidden' })
    expect(await phaseOf(HELD.id)).toEqual(before)
  })

  it('is not done without a reason, and it is said why', async () => {
    const page = await open(`/migrations/${HELD.id}`)
    const asked: string[] = []
    page.on('request', (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`))
    await button(page, 'Revert').click()
    await dialog(page)
      .getByLabel(/Reason/)
      .fill('  ')
    const confirm = button(page, 'Revert to expanded')
    expect(await confirm.getAttribute('aria-disabled')).toBe('true')
    const why = page.locator(`#${escaped(await confirm.getAttribute('aria-describedby'))}`)
    expect(await why.textContent()).toContain('Say why first.')
    await confirm.click({ force: true })
    await dialog(page)
      .getByLabel(/Reason/)
      .fill('Support tickets')
    expect(await confirm.getAttribute('aria-disabled')).toBeNull()
    await confirm.click()
    await toStandAt(HELD.id, 'expanded')
    expect(asked.filter((each) => each.startsWith('POST') && each.endsWith('/revert'))).toHaveLength(1)
  })

  it('is shown where it was asked for, in the words of the server, and what was typed stays', async () => {
    const page = await open(`/migrations/${HELD.id}`)
    await button(page, 'Re-arm').click()
    await dialog(page).getByLabel('Reason').fill('The cause is gone')
    // Somebody else is first.
    expect((await post('rearm', { reason: 'me too' })).status).toBe(200)
    await button(page, 'Re-arm').first().waitFor()
    await dialog(page).getByRole('button', { name: 'Re-arm', exact: true }).click()
    await dialog(page)
      .getByRole('alert')
      .getByText(/not latched/i)
      .waitFor()
    expect(await dialog(page).getByLabel('Reason').inputValue()).toBe('The cause is gone')
  })
})
