import type pg from 'pg'
import { freshTables } from './copy-tables.ts'
import { type Habit, startTraffic, type TrafficTimes } from './traffic.ts'

/** How long the application runs before it counts, and how long it is watched without a copy. */
const SETTLE_MS = 1_000
const CALM_MS = 8_000

/** Reads of old, and guarded writes of both paths, of any rows. */
const application = (rows: number): readonly Habit[] => {
  const anyKey = (): number => 1 + Math.floor(Math.random() * rows)
  return [
    {
      sessions: 2,
      query: (client) => client.query('select name, email, bio from users where id = $1', [anyKey()]),
    },
    { sessions: 2, query: (client) => writeBoth(client, anyKey()) },
  ]
}

let written = 0

/** One dual write as the SDK sends it; an update, so that it changes nothing in new that is not copied yet. */
export async function writeBoth(client: pg.Client | pg.PoolClient, key: number): Promise<void> {
  written += 1
  await client.query(`begin; select switchback."enter:bench"(0, '${key}')`)
  await client.query('update users set bio = $2 where id = $1', [key, `written ${written}`])
  await client.query('update profiles set bio = $2 where user_id = $1', [key, `written ${written}`])
  await client.query('commit')
}

export interface TrafficOfCopy extends TrafficTimes {
  readonly seconds: number
}

/** What the application's queries take while `copy` runs, on new tables. */
export async function underTraffic(
  pool: pg.Pool,
  url: string,
  rows: number,
  copy: () => Promise<unknown>,
): Promise<TrafficOfCopy> {
  await freshTables(pool, rows)
  const traffic = await startTraffic(url, application(rows))
  try {
    await sleep(SETTLE_MS)
    traffic.since()
    const start = performance.now()
    await copy()
    const seconds = (performance.now() - start) / 1000
    return { ...traffic.since(), seconds }
  } finally {
    await traffic.stop()
  }
}

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

/** The times without a copy, to compare with. */
export const calm = (): Promise<void> => sleep(CALM_MS)
