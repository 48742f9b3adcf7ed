/** Measures, with 200 migrations and 20,000 instances, the first paint and how fast a change is on the screen:
 *  npm run console:load */
import { STORE_SCHEMA } from '@switchback/server'
import pg from 'pg'
import { ADMIN } from '../e2e/service.ts'
import { provideChromium } from '../support/index.ts'
import { findChromium, launch, visit } from './browser.ts'
import { openDatabases } from './databases.ts'
import { measureLatency, percentile } from './latency.ts'
import { openScene } from './scene.ts'
import { registrationOf } from './scenery.ts'

const MIGRATIONS = 200
const INSTANCES = 20_000
const ROUNDS = 5
const CHANGES = 100

await provideChromium()
const chromium = findChromium()
if (chromium === undefined) process.exit(1)
const databases = await openDatabases()
const scene = await openScene(databases)
const browser = await launch(chromium)

const idOf = (index: number): string => `migration-${index}`

/** Each instance has told of five migrations, as a service with a few tables under change does. */
async function seedFleet(): Promise<void> {
  const store = new pg.Client({
    connectionString: databases.storeUrl,
    options: `-c search_path=${STORE_SCHEMA}`,
  })
  await store.connect()
  await store.query(
    `insert into instances (id, incarnation, app, version, server, on_lease_expired, registered_at, last_seen, lease_until)
     select 'app-' || (n % 40) || '-' || n, 'i', 'app-' || (n % 40), '1.' || (n % 3), 'server', 'hold', now(), now(),
       now() + interval '1 hour'
     from generate_series(1, ${INSTANCES}) n`,
  )
  await store.query(
    `insert into instance_positions (instance, migration, handlers, fenced, applied, drained)
     select i.id, 'migration-' || ((abs(hashtext(i.id)) % ${MIGRATIONS - 5}) + k), '{old,new}', true, 1, 1
     from instances i, generate_series(1, 5) k`,
  )
  await store.query('analyze')
  await store.end()
}

async function paint(path: string, seen: string): Promise<{ paint: number; rows: number }> {
  const { page } = await visit(browser, { url: scene.service.url, token: ADMIN })
  const began = performance.now()
  await page.goto(scene.service.url + path)
  await page.locator(seen).first().waitFor()
  const rows = performance.now() - began
  const entries = await page.evaluate<number>(
    "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0",
  )
  await page.close()
  return { paint: entries, rows }
}

try {
  for (let index = 1; index <= MIGRATIONS; index++) {
    const made = { id: idOf(index), title: `Table ${index} moves`, team: `team-${index % 9}`, rows: 0 }
    await scene.service.call('POST', '/v1/migrations', registrationOf(made))
  }
  await seedFleet()
  for (const [path, seen] of [
    ['/', '.migration-row'],
    ['/fleet', '.instance'],
  ] as const) {
    const rounds: Awaited<ReturnType<typeof paint>>[] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push(await paint(path, seen))
    const middle = (of: 'paint' | 'rows') =>
      Math.round(rounds.map((round) => round[of]).sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0)
    console.log(
      `${path}: first paint ${middle('paint')} ms, first rows ${middle('rows')} ms (median of ${ROUNDS})`,
    )
  }
  const latency = await measureLatency(browser, scene, {
    storeUrl: databases.storeUrl,
    migration: idOf(MIGRATIONS),
    changes: CHANGES,
  })
  for (const [what, figures] of Object.entries(latency)) {
    console.log(
      `from commit to ${what}: p50 ${percentile(figures, 0.5)} ms, p99 ${percentile(figures, 0.99)} ms (${figures.length} changes)`,
    )
  }
} finally {
  await browser.close()
  await scene.stop()
  await databases.stop()
}
