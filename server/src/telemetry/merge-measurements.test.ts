import {
  coarseLatencies,
  createWindows,
  emptyLatencies,
  latencyBucket,
  latencyQuantile,
  type Measurement,
} from '@switchback/migrations-registry'
import { expect, it } from 'vitest'
import { createMerger } from './merge-measurements.ts'

/** Ten operations that took so long, as an SDK tells of them, or one that knows the coarser buckets alone. */
function measured(ms: number, isFine = true): Measurement {
  const fine = emptyLatencies()
  fine[latencyBucket(ms)] = 10
  return {
    ...{ migration: 'm', epoch: 1, path: 'old', operation: 'read', count: 10, errors: {} },
    ...{ latency: coarseLatencies(fine), mismatches: 0, compared: 0, secondaryFailures: 0 },
    ...(isFine ? { fine } : {}),
  }
}

it('adds latencies up by finer buckets, also those that were told by coarser ones alone', () => {
  const merger = createMerger()
  for (const each of [measured(1.2), measured(1.2), measured(1.2, false), measured(1.9)]) merger.add(each)
  const [sum] = merger.take()
  const at = (ms: number) => sum?.fine?.[latencyBucket(ms)]
  expect([at(1.2), at(1.9), sum?.count]).toEqual([20, 20, 40])
  expect(sum?.latency).toEqual(coarseLatencies(sum?.fine ?? []))
})

it('has them judged by the finer ones', () => {
  const windows = createWindows(new Map([[10_000, 1]]))
  windows.add(measured(1.2), 50_000)
  const query = { path: 'old', sinceEpoch: 0, notBefore: 0, window: 10_000, now: 50_000 } as const
  const p99 = latencyQuantile(windows.sum(query).latency, 0.99) ?? 0
  // By the coarser ones it would be just below 2.
  expect(p99).toBeGreaterThan(1.1)
  expect(p99).toBeLessThan(1.4)
})
