import { FINE_LATENCY_BUCKETS_MS, LATENCY_BUCKETS_MS, type Measurement } from './wire.ts'

/** Where each bound of `LATENCY_BUCKETS_MS` is among the finer ones, which have every one of them. */
const PLACES: readonly number[] = LATENCY_BUCKETS_MS.map((bound) => FINE_LATENCY_BUCKETS_MS.indexOf(bound))

export const emptyLatencies = (): number[] => new Array<number>(FINE_LATENCY_BUCKETS_MS.length + 1).fill(0)

/** The place in a histogram by `FINE_LATENCY_BUCKETS_MS` of an operation that took `ms`. Called for every operation. */
export function latencyBucket(ms: number): number {
  let from = 0
  let to = FINE_LATENCY_BUCKETS_MS.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (ms > (FINE_LATENCY_BUCKETS_MS[middle] ?? 0)) from = middle + 1
    else to = middle
  }
  return from
}

/** The same counts by `LATENCY_BUCKETS_MS`. */
export function coarseLatencies(fine: readonly number[]): number[] {
  let at = 0
  const upTo = (end: number): number => {
    let sum = 0
    for (; at < end; at++) sum += fine[at] ?? 0
    return sum
  }
  return [...PLACES.map((place) => upTo(place + 1)), upTo(fine.length)]
}

/** By `FINE_LATENCY_BUCKETS_MS`. What is known by coarser ones alone counts as the slowest that it may have been. */
export function fineLatencies({ latency, fine }: Pick<Measurement, 'latency' | 'fine'>): readonly number[] {
  if (fine !== undefined) return fine
  const all = emptyLatencies()
  for (const [i, count] of latency.entries()) all[PLACES[i] ?? FINE_LATENCY_BUCKETS_MS.length] = count
  return all
}
