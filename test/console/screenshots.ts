/** Takes the pictures of docs/images from a real server with real instances: npm run screenshots */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { ADMIN } from '../e2e/service.ts'
import { provideChromium } from '../support/index.ts'
import { findChromium, launch, visit } from './browser.ts'
import { openDatabases } from './databases.ts'
import { openScene } from './scene.ts'
import { stageShowcase } from './showcase.ts'

interface Picture {
  readonly name: string
  readonly path: string
  readonly width?: number
  readonly dark?: boolean
  readonly prepare?: (page: Page) => Promise<void>
}

const openRevert = (page: Page) => page.getByRole('button', { name: 'Revert', exact: true }).first().click()
/** What the tab holds, and not the head of the page, which is the same for each. */
const tabFirst = (page: Page) =>
  page.locator('.tabs').evaluate((tabs) => tabs.scrollIntoView({ block: 'start', behavior: 'instant' }))
const editFlag = (page: Page) => page.getByRole('button', { name: 'Change profile-badges' }).click()
const both = (picture: Picture): readonly Picture[] => [
  picture,
  { ...picture, name: `${picture.name}-dark`, dark: true },
]

const PICTURES = (incident: string): readonly Picture[] => [
  ...both({ name: 'overview', path: '/' }),
  ...both({ name: 'migration', path: '/migrations/user-profiles' }),
  ...both({ name: 'data', path: '/migrations/rider-addresses/data', prepare: tabFirst }),
  ...both({ name: 'plan', path: '/migrations/user-profiles/plan', prepare: tabFirst }),
  ...both({ name: 'sql', path: '/migrations/user-profiles/sql', prepare: tabFirst }),
  ...both({ name: 'verification', path: '/migrations/driver-balances/data', prepare: tabFirst }),
  ...both({ name: 'flag', path: '/flags', prepare: editFlag }),
  ...both({ name: 'incident', path: `/incidents/${incident}` }),
  ...both({ name: 'fleet', path: '/fleet' }),
  ...both({ name: 'flags', path: '/flags' }),
  ...both({ name: 'alerts', path: '/alerts' }),
  ...both({ name: 'audit', path: '/audit' }),
  ...both({ name: 'settings', path: '/settings' }),
  { name: 'overview-768', path: '/', width: 768 },
  { name: 'migration-768', path: '/migrations/user-profiles', width: 768 },
  ...both({ name: 'overview-360', path: '/', width: 360 }),
  { name: 'migration-360', path: '/migrations/user-profiles', width: 360 },
  ...both({ name: 'revert-360', path: '/migrations/user-profiles', width: 360, prepare: openRevert }),
]

/** Time for charts to have something to show. */
const TRAFFIC_MS = Number(process.env.TRAFFIC_MS ?? 150_000)

await provideChromium()
const chromium = findChromium()
if (chromium === undefined) process.exit(1)
const databases = await openDatabases()
const scene = await openScene(databases)
const browser = await launch(chromium)
try {
  await stageShowcase(scene)
  await new Promise((resolve) => setTimeout(resolve, TRAFFIC_MS))
  const { body } = await scene.service.call<{ incidents: { id: string }[] }>('GET', '/v1/incidents')
  const images = process.argv[2] ?? 'docs/images'
  await mkdir(images, { recursive: true })
  for (const { name, path, width, dark, prepare } of PICTURES(body.incidents[0]?.id ?? '')) {
    const { page, complaints } = await visit(browser, {
      url: scene.service.url,
      token: ADMIN,
      ...(width === undefined ? {} : { width }),
      ...(dark === undefined ? {} : { dark }),
    })
    await page.goto(scene.service.url + path)
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
    await page.waitForLoadState('networkidle')
    await prepare?.(page)
    await page.waitForTimeout(600)
    await page.screenshot({ path: join(images, `${name}.png`) })
    if (complaints.length > 0) console.error(name, complaints)
    await page.close()
  }
} finally {
  await browser.close()
  await scene.stop()
  await databases.stop()
}
