import { describe, expect, it } from 'vitest'
import { latencyQuantile, leastDifference } from './statistics.ts'
import { MINUTE, measurement, NOW } from './tripwires-for-tests.ts'
import { createWindows } from './windows.ts'
import { LATENCY_BUCKETS_MS } from './wire.ts'

describe('windows', () => {
  it('stay bounded, whatever is told', () => {
    const windows = createWindows(new Map([[1000, 2]]))
    for (let i = 0; i < 100_000; i += 7) {
      windows.add(measurement({ count: 1, epoch: i }), NOW + i)
    }
    const query = { path: 'new', sinceEpoch: 0, notBefore: 0, window: 1000, now: NOW + 99_995 } as const
    expect(windows.sum(query).count).toBeLessThan(1000 / 7 + 2)
    expect(windows.sum({ ...query, ago: 1 }).count).toBeGreaterThan(0)
    expect(windows.sum({ ...query, ago: 2 }).count).toBe(0)
  })

  it('merge what several instances tell late, in its own place', () => {
    const windows = createWindows(new Map([[MINUTE, 2]]))
    windows.add(measurement({ count: 3 }), NOW)
    windows.add(measurement({ count: 4 }), NOW - MINUTE)
    windows.add(measurement({ count: 5 }), NOW - 10 * MINUTE)
    const query = { path: 'new', sinceEpoch: 0, notBefore: 0, window: MINUTE, now: NOW } as const
    expect([0, 1].map((ago) => windows.sum({ ...query, ago }).count)).toEqual([3, 4])
    // Too late to count, and so not kept either.
    expect(windows.sum({ ...query, ago: 10 }).count).toBe(0)
  })

  it('tell of what was measured since an epoch, and since a moment, alone', () => {
    const windows = createWindows(new Map([[MINUTE, 1]]))
    windows.add(measurement({ count: 3, epoch: 1 }), NOW)
    windows.add(measurement({ count: 4, epoch: 2 }), NOW)
    windows.add(measurement({ count: 5, epoch: 2 }), NOW - MINUTE / 2)
    const query = { path: 'new', sinceEpoch: 0, notBefore: 0, window: MINUTE, now: NOW } as const
    expect(windows.sum(query).count).toBe(12)
    expect(windows.sum({ ...query, sinceEpoch: 2 }).count).toBe(9)
    expect(windows.sum({ ...query, notBefore: NOW - MINUTE / 4 }).count).toBe(7)
  })

  it('keep no more kinds of counts, and no more classes of errors, than there is room for', () => {
    const windows = createWindows(new Map([[MINUTE, 1]]))
    for (let epoch = 1; epoch <= 100; epoch++) windows.add(measurement({ count: 1, epoch }), NOW)
    const query = { path: 'new', sinceEpoch: 0, notBefore: 0, window: MINUTE, now: NOW } as const
    expect(windows.sum(query).count).toBe(64)
    const errors = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`E${n}`, 1]))
    windows.add({ ...measurement({ count: 100, epoch: 1 }), errors }, NOW)
    const { errors: told, failed } = windows.sum(query)
    expect([told.size, told.get('other'), failed]).toEqual([33, 68, 100])
  })
})

describe('statistics', () => {
  it('knows a difference from chance', () => {
    // Newcombe's own example, at 95% on both sides.
    expect(leastDifference({ hits: 56, of: 70 }, { hits: 48, of: 80 }, 0.975)).toBeCloseTo(0.0524, 3)
    expect(leastDifference({ hits: 3, of: 100 }, { hits: 1, of: 100 }, 0.99)).toBeLessThan(0)
  })
  it('reads quantiles off the histogram', () => {
    const histogram = new Array<number>(LATENCY_BUCKETS_MS.length + 1).fill(0)
    histogram[3] = 99
    histogram[11] = 1
    expect(latencyQuantile(histogram, 0.5)).toBeCloseTo(0.75, 1)
    expect(latencyQuantile(histogram, 0.999)).toBeGreaterThan(16)
    expect(latencyQuantile([], 0.99)).toBeUndefined()
  })
})
