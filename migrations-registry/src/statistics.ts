import { FINE_LATENCY_BUCKETS_MS, LATENCY_BUCKETS_MS } from './wire.ts'

/** A share of something: `hits` of `of`. */
export interface Proportion {
  readonly hits: number
  readonly of: number
}

export const rateOf = ({ hits, of }: Proportion): number => (of === 0 ? 0 : hits / of)

/** The normal quantile for a one-sided confidence of 0.5 to 0.9999; off by less than 0.0005. */
export function zOf(confidence: number): number {
  const tail = Math.max(1 - confidence, 1e-9)
  const t = Math.sqrt(-2 * Math.log(tail))
  const above = 2.515517 + 0.802853 * t + 0.010328 * t * t
  const below = 1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t
  return t - above / below
}

/** Wilson's interval: honest for few samples and for rates near 0. */
function wilson({ hits, of }: Proportion, z: number): { readonly low: number; readonly high: number } {
  if (of === 0) return { low: 0, high: 1 }
  const rate = hits / of
  const square = z * z
  const middle = (rate + square / (2 * of)) / (1 + square / of)
  const half = (z / (1 + square / of)) * Math.sqrt((rate * (1 - rate)) / of + square / (4 * of * of))
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/** What `a` is at least above `b` with this confidence (Newcombe's interval); may be negative. */
export function leastDifference(a: Proportion, b: Proportion, confidence: number): number {
  const z = zOf(confidence)
  const below = rateOf(a) - wilson(a, z).low
  const over = wilson(b, z).high - rateOf(b)
  return rateOf(a) - rateOf(b) - Math.sqrt(below * below + over * over)
}

/**
 * A quantile of a latency histogram in ms, evenly spread within its bucket; undefined without samples. By
 * `FINE_LATENCY_BUCKETS_MS` or, where it is no longer than that, by `LATENCY_BUCKETS_MS`.
 */
export function latencyQuantile(histogram: readonly number[], q: number): number | undefined {
  const bounds =
    histogram.length > LATENCY_BUCKETS_MS.length + 1 ? FINE_LATENCY_BUCKETS_MS : LATENCY_BUCKETS_MS
  const total = histogram.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  const rank = q * total
  let below = 0
  for (const [i, count] of histogram.entries()) {
    if (count > 0 && below + count >= rank) {
      const low = bounds[i - 1] ?? 0
      // Beyond the last bound nothing is known but that it is passed.
      const high = bounds[i] ?? low
      return low + (high - low) * ((rank - below) / count)
    }
    below += count
  }
  return bounds.at(-1)
}
