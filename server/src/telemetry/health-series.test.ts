import { LATENCY_BUCKETS_MS, type Measurement } from '@switchback/migrations-registry'
import { expect, test } from 'vitest'
import { createHealthSeries, SLOT_MS } from './health-series.ts'

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

test('what comes within one slot is one point, the paths apart', () => {
  const series = createHealthSeries()
  series.take([measured({ errors: { Boom: 1 } }), measured({ path: 'old', compared: 5, mismatches: 2 })], 1)
  series.take([measured({ errors: { Other: 2 }, epoch: 2 })], SLOT_MS - 1)
  expect(series.of('m', 0)).toMatchObject([
    {
      at: SLOT_MS,
      epoch: 2,
      compared: 5,
      mismatches: 2,
      new: { operations: 20, errorRate: 0.15 },
      old: { operations: 10, errorRate: 0 },
    },
  ])
  expect(series.of('m', 0)[0]?.new?.p99Ms).toBeGreaterThan(3)
  expect(series.of('other', 0)).toEqual([])
})

test('an hour is kept, and only what was asked for is told', () => {
  const series = createHealthSeries()
  for (let slot = 0; slot < 400; slot++) series.take([measured({})], slot * SLOT_MS)
  expect(series.of('m', 0)).toHaveLength(360)
  expect(series.of('m', 395 * SLOT_MS)).toHaveLength(5)
})
