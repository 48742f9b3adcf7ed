import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import {
  type ApplicationLatency,
  applicationLatencies,
  coarseLatencies,
  createWindows,
  emptyLatencies,
  LATENCY_WINDOW_MS,
  latencyBucket,
  type Measurement,
} from '@switchback/migrations-registry'
import type pg from 'pg'
import type { Operation } from './application.ts'
import { freshTables, PROFILES } from './copy-tables.ts'
import { quantile } from './measure.ts'
import type { TrafficTimes } from './traffic.ts'

/** How long the application runs before it counts, and how long it is watched without a copy, before and after. */
const SETTLE_MS = 2_000
const CALM_MS = 10_000

let written = 0

/** One dual write as the SDK sends it; an update, so that it changes nothing in new that is not copied yet. */
export async function writeBoth(client: pg.Client | pg.PoolClient, key: number): Promise<void> {
  written += 1
  await client.query(`begin; select switchback."enter:bench"(0, '${key}')`)
  await client.query('update users set bio = $2 where id = $1', [key, `written ${written}`])
  await client.query('update profiles set bio = $2 where user_id = $1', [key, `written ${written}`])
  await client.query('commit')
}

/** An application in a thread of its own, and what its operations took. */
export interface Application {
  /** Operations that ended in this time, in ms since 1970. */
  times(from: number, to: number): TrafficTimes
  /** What its instances would have told the server by now, as the server goes by it. */
  latencies(since: number): readonly ApplicationLatency[]
  stop(): Promise<void>
}

async function startApplication(url: string, rows: number): Promise<Application> {
  const thread = new Worker(new URL('./application.js', import.meta.url), { workerData: { url, rows } })
  const all: Operation[] = []
  const windows = createWindows(new Map([[LATENCY_WINDOW_MS, 1]]))
  thread.on('message', (ended: readonly Operation[]) => {
    all.push(...ended)
    for (const operation of ['read', 'write'] as const) {
      windows.add(
        measurementOf(
          operation,
          ended.filter((each) => each.operation === operation),
        ),
        Date.now(),
      )
    }
  })
  await once(thread, 'message')
  return {
    times: (from, to) => {
      const ended = all.filter(({ at }) => at >= from && at < to).map(({ ms }) => ms)
      return {
        queries: ended.length,
        p50Ms: quantile(ended, 0.5),
        p99Ms: quantile(ended, 0.99),
        longestMs: ended.reduce((longest, ms) => Math.max(longest, ms), 0),
      }
    },
    latencies: (since) => applicationLatencies(windows, Date.now(), since),
    stop: async () => {
      thread.postMessage('stop')
      await once(thread, 'exit')
    },
  }
}

function measurementOf(operation: Operation['operation'], ended: readonly Operation[]): Measurement {
  const fine = emptyLatencies()
  for (const { ms } of ended) {
    const bucket = latencyBucket(ms)
    fine[bucket] = (fine[bucket] ?? 0) + 1
  }
  const latency = coarseLatencies(fine)
  return {
    ...{ migration: PROFILES.id, epoch: 1, path: 'old', operation, count: ended.length, latency, fine },
    ...{ errors: {}, mismatches: 0, compared: 0, secondaryFailures: 0 },
  }
}

export interface TrafficOfCopy {
  readonly before: TrafficTimes
  readonly during: TrafficTimes & { readonly seconds: number }
  readonly after: TrafficTimes
  /** p99 during the copy, in times of what it is without: before, while new is empty, and after, when it is not. */
  readonly p99: number
}

/** What the application's operations take before, while and after `copy` runs, on new tables. */
export async function underTraffic(
  pool: pg.Pool,
  url: string,
  rows: number,
  copy: (application: Application) => Promise<unknown>,
): Promise<TrafficOfCopy> {
  await freshTables(pool, rows)
  const application = await startApplication(url, rows)
  const calm = async (): Promise<TrafficTimes> => {
    await sleep(SETTLE_MS)
    const start = Date.now()
    await sleep(CALM_MS)
    return application.times(start, Date.now())
  }
  try {
    const before = await calm()
    const start = Date.now()
    await copy(application)
    const end = Date.now()
    const after = await calm()
    const during = { ...application.times(start, end), seconds: (end - start) / 1000 }
    return { before, during, after, p99: (2 * during.p99Ms) / (before.p99Ms + after.p99Ms) }
  } finally {
    await application.stop()
  }
}

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
