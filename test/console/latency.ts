import { setTimeout as pause } from 'node:timers/promises'
import { STORE_SCHEMA } from '@switchback/server'
import pg from 'pg'
import type { Browser } from 'playwright-core'
import { ADMIN } from '../e2e/service.ts'
import { waitFor } from '../support/index.ts'
import { visit } from './browser.ts'
import type { Scene } from './scene.ts'

/** From the commit in the store to the change of the page, and to the frame that shows it, in milliseconds. */
export interface Latency {
  readonly changed: readonly number[]
  readonly painted: readonly number[]
}

interface Seen {
  readonly paused: boolean
  readonly changed: number
  readonly painted: number
}

/** Changes come one by one here: the page reads once for those that come in a burst. */
const APART_MS = 300

/** Notes when the row of a migration says that it is paused, and when that is gone. */
const watching = (id: string): string => `(() => {
  const now = () => performance.timeOrigin + performance.now()
  const row = () => document.querySelector('[aria-labelledby="row-${id}"]')
  const isPaused = () => row()?.textContent.includes('The migration is paused.') === true
  let paused = isPaused()
  window.seen = []
  new MutationObserver(() => {
    if (isPaused() === paused) return
    paused = !paused
    const change = { paused, changed: now() }
    requestAnimationFrame(() => requestAnimationFrame(() => window.seen.push({ ...change, painted: now() })))
  }).observe(document.body, { subtree: true, childList: true, characterData: true })
})()`

/**
 * Pauses and resumes a migration of many, and looks when the overview shows it.
 *
 * @param storeUrl a store that notes the time of its commits (`track_commit_timestamp`)
 */
export async function measureLatency(
  browser: Browser,
  scene: Scene,
  { storeUrl, migration, changes }: { storeUrl: string; migration: string; changes: number },
): Promise<Latency> {
  const { page } = await visit(browser, { url: scene.service.url, token: ADMIN })
  await page.goto(scene.service.url)
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  // Whatever is paused comes first of all rows, and goes back to its place when it is resumed.
  const row = page.getByRole('article', { name: migration, exact: true })
  await scene.service.call('POST', `/v1/migrations/${migration}/pause`, {})
  await row.getByText('The migration is paused.').waitFor()
  await page.evaluate(watching(migration))
  for (let change = 0; change < changes; change++) {
    await scene.service.call(
      'POST',
      `/v1/migrations/${migration}/${change % 2 === 0 ? 'resume' : 'pause'}`,
      {},
    )
    await waitFor(async () => (await page.evaluate<number>('seen.length')) > change, {
      what: 'the change to be on the screen',
    })
    await pause(APART_MS)
  }
  const seen = await page.evaluate<readonly Seen[]>('seen')
  await page.close()
  const commits = await commitsOf(storeUrl, migration, changes)
  const since = (of: 'changed' | 'painted') =>
    seen.map((each, index) => each[of] - (commits[index] ?? Number.NaN))
  return { changed: since('changed'), painted: since('painted') }
}

/** When the last changes were committed, in Unix milliseconds, the oldest first. */
async function commitsOf(storeUrl: string, migration: string, changes: number): Promise<readonly number[]> {
  const store = new pg.Client({ connectionString: storeUrl, options: `-c search_path=${STORE_SCHEMA}` })
  await store.connect()
  const { rows } = await store.query<{ at: number }>(
    `select 1000 * extract(epoch from pg_xact_commit_timestamp(xmin))::float8 as at from audit_events
     where subject = $1 and kind in ('migration.paused', 'migration.resumed')
     order by revision desc limit $2`,
    [migration, changes],
  )
  await store.end()
  return rows.map(({ at }) => at).reverse()
}

/** The figure below which this share of them lies. */
export function percentile(figures: readonly number[], share: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN)
}
