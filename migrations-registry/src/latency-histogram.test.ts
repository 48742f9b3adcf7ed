import { expect, it } from 'vitest'
import { coarseLatencies, emptyLatencies, fineLatencies, latencyBucket } from './latency-histogram.ts'
import { latencyQuantile } from './statistics.ts'
import { FINE_LATENCY_BUCKETS_MS, LATENCY_BUCKETS_MS } from './wire.ts'

const histogramOf = (times: readonly number[]): number[] => {
  const histogram = emptyLatencies()
  for (const ms of times) {
    const bucket = latencyBucket(ms)
    histogram[bucket] = (histogram[bucket] ?? 0) + 1
  }
  return histogram
}

it('the finer buckets have every bound of the coarser ones, in order, and few enough for the wire', () => {
  expect(FINE_LATENCY_BUCKETS_MS).toEqual([...new Set(FINE_LATENCY_BUCKETS_MS)].sort((a, b) => a - b))
  expect(FINE_LATENCY_BUCKETS_MS).toEqual(expect.arrayContaining([...LATENCY_BUCKETS_MS]))
  expect(FINE_LATENCY_BUCKETS_MS.length).toBeLessThan(128)
  // Or a histogram of one kind could be taken for one of the other.
  expect(FINE_LATENCY_BUCKETS_MS.length).toBeGreaterThan(LATENCY_BUCKETS_MS.length + 1)
})

it.each([0, 0.1, 0.2, 0.9999, 1, 1.0001, 3.1, 64, 65, 8192, 100_000])('finds the bucket of %s ms', (ms) => {
  const expected = FINE_LATENCY_BUCKETS_MS.findIndex((bound) => ms <= bound)
  expect(latencyBucket(ms)).toBe(expected < 0 ? FINE_LATENCY_BUCKETS_MS.length : expected)
})

it('counts the same by coarser buckets', () => {
  const coarse = coarseLatencies(histogramOf([0.05, 1, 1.2, 1.9, 2, 2.01, 9_000]))
  const at = (bound: number) => coarse[LATENCY_BUCKETS_MS.indexOf(bound)]
  expect([at(0.1), at(1), at(2), at(3), coarse.at(-1)]).toEqual([1, 1, 3, 1, 1])
  expect(coarse).toHaveLength(LATENCY_BUCKETS_MS.length + 1)
  expect(coarse.reduce((sum, count) => sum + count, 0)).toBe(7)
})

it('takes an operation for the slowest it may have been where only coarser buckets were told', () => {
  const latency = coarseLatencies(histogramOf([1.2, 9_000]))
  const fine = fineLatencies({ latency })
  expect(fine[latencyBucket(2)]).toBe(1)
  expect(fine.at(-1)).toBe(1)
  expect(coarseLatencies(fine)).toEqual(latency)
  expect(fineLatencies({ latency, fine: [1] })).toEqual([1])
})

it('tells a p99 from one that is 1.3 times as long, which coarser buckets do not', () => {
  // Ninety of a hundred are fast; the others spread evenly up to the slowest.
  const spread = (most: number) =>
    histogramOf(
      Array.from({ length: 1_000 }, (_, i) => (i < 900 ? 0.4 : 0.4 + ((most - 0.4) * (i - 899)) / 100)),
    )
  const p99 = (histogram: readonly number[]) => latencyQuantile(histogram, 0.99) ?? Number.NaN
  const [usual, slower] = [spread(2.1), spread(2.1 * 1.3)]
  const exact = (0.4 + (2.1 * 1.3 - 0.4) * 0.9) / (0.4 + (2.1 - 0.4) * 0.9)
  expect(p99(slower) / p99(usual)).toBeCloseTo(exact, 1)
  const coarse = p99(coarseLatencies(slower)) / p99(coarseLatencies(usual))
  expect(Math.abs(coarse - exact)).toBeGreaterThan(Math.abs(p99(slower) / p99(usual) - exact))
})
