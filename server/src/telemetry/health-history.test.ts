import { LATENCY_BUCKETS_MS, type Measurement } from '@switchback/migrations-registry'
import { type TestStore, testStore } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestApi, testApi } from '../http/test-api.ts'
import { epochChanges } from './epoch-changes.ts'
import { createHealthHistory } from './health-history.ts'
import { stepFor } from './health-route.ts'
import { healthSince } from './health-store.ts'

let store: TestStore
let api: TestApi
let now: number

beforeEach(async () => {
  store = await testStore()
  api = testApi(store.db)
  await api.registered('m')
  now = Date.parse('2026-11-22T17:00:00Z')
})
afterEach(async () => {
  await api.stop()
  await store.drop()
})

const measured = (more: Partial<Measurement>): Measurement => ({
  migration: 'm',
  epoch: 1,
  path: 'new',
  operation: 'read',
  count: 10,
  errors: {},
  latency: LATENCY_BUCKETS_MS.map((bound) => (bound === 4 ? 10 : 0)).concat(0),
  mismatches: 0,
  compared: 0,
  secondaryFailures: 0,
  ...more,
})
const historyOf = (server: string) =>
  createHealthHistory({
    db: store.open(),
    clock: () => now,
    server,
    onFault: (error) => {
      throw error
    },
    intervalMs: 60_000,
  })
const tell = (history: ReturnType<typeof historyOf>, ...measurements: Measurement[]) =>
  history.record({ measurements, dropped: 0 })
const seen = (since: number, stepMs = 10_000) => healthSince(store.db, 'm', since, stepMs)

test('what comes to any server within one step is one point, the paths apart, however often it is written', async () => {
  const [one, other] = [historyOf('one'), historyOf('other')]
  tell(
    one,
    measured({ errors: { Boom: 1 } }),
    measured({ path: 'old', operation: 'write', compared: 5, mismatches: 2 }),
  )
  await one.flush()
  tell(one, measured({ errors: { Other: 1 } }))
  await one.flush()
  await one.flush()
  tell(other, measured({ errors: { Boom: 1 }, epoch: 2 }))
  await other.flush()
  const points = await seen(now - 60_000)
  expect(points).toMatchObject([
    {
      at: now + 10_000,
      epoch: 2,
      compared: 5,
      mismatches: 2,
      new: { operations: 30, errorRate: 0.1 },
      old: { operations: 10, errorRate: 0 },
    },
  ])
  // Between 3 and 4 ms: the histograms were added up bucket by bucket.
  expect(points[0]?.new?.p99Ms).toBeGreaterThan(3)
  expect(points[0]?.new?.p99Ms).toBeLessThanOrEqual(4)
})

test('it is there after a restart of the server, and nothing is counted twice', async () => {
  const before = historyOf('before')
  tell(before, measured({}))
  await before.stop()
  const after = historyOf('after')
  tell(after, measured({}))
  await after.stop()
  expect(await seen(now - 60_000)).toMatchObject([{ new: { operations: 20 } }])
})

test('steps of ten seconds are added up into five minutes, and go when they have been kept', async () => {
  const history = historyOf('one')
  const began = now
  for (let slot = 0; slot < 60; slot++) {
    tell(history, measured({ epoch: slot < 30 ? 1 : 2 }))
    await history.flush()
    now += 10_000
  }
  const wide = await seen(began, 300_000)
  expect(wide.map(({ at, epoch, new: path }) => [at - began, epoch, path?.operations])).toEqual([
    [300_000, 1, 300],
    [600_000, 2, 300],
  ])
  // Much later the slots are gone, and the steps are what they were.
  now += 5 * 3_600_000
  await history.flush()
  expect(await seen(began)).toEqual([])
  expect(await seen(began, 300_000)).toEqual(wide)
  now += 14 * 86_400_000
  await history.flush()
  expect(await seen(began, 300_000)).toEqual([])
})

test('what no server could write yet is written later', async () => {
  const history = historyOf('one')
  tell(history, measured({}))
  await store.db.query('alter table health_slots rename to away')
  await expect(history.flush()).rejects.toThrow('health_slots')
  now += 10_000
  tell(history, measured({}))
  await store.db.query('alter table away rename to health_slots')
  await history.flush()
  expect((await seen(now - 60_000)).map(({ new: path }) => path?.operations)).toEqual([10, 10])
})

test('measurements of a migration that nobody registered are not kept', async () => {
  const history = historyOf('one')
  tell(history, measured({ migration: 'unheard-of' }), measured({}))
  await history.flush()
  expect((await store.db.query('select migration from health_slots')).rows).toEqual([{ migration: 'm' }])
})

test('a change of the epoch is a mark, with the phase that it led to', async () => {
  await api.ramped('n')
  const changes = await epochChanges(store.db, 'n', 0)
  expect(changes.map(({ phase }) => phase)).toContain('backfill')
  expect(changes.map(({ epoch }) => epoch)).toEqual(
    [...new Set(changes.map(({ epoch }) => epoch))].sort((a, b) => a - b),
  )
})

test.each([
  [30, 10_000],
  [180, 30_000],
  [1_440, 300_000],
  [20_160, 3_600_000],
])('%i minutes are drawn in steps of %i ms', (minutes, step) => {
  expect(stepFor(minutes)).toBe(step)
})
