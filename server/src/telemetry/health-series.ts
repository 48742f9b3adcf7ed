import type { Measurement, Path } from '@switchback/migrations-registry'
import { LATENCY_BUCKETS_MS, latencyQuantile } from '@switchback/migrations-registry'

/** What one path did in one slot of time. */
export interface PathPoint {
  readonly operations: number
  readonly errorRate: number
  readonly p99Ms?: number
}

export interface HealthPoint {
  /** End of the slot. */
  readonly at: number
  readonly epoch: number
  readonly old?: PathPoint
  readonly new?: PathPoint
  readonly compared: number
  readonly mismatches: number
  readonly secondaryFailures: number
}

/** What was measured of each migration in the last hour, in slots, for charts. */
export interface HealthSeries {
  take(measurements: readonly Measurement[], at: number): void
  /** Oldest first; slots in which nothing was told of are left out. */
  of(migration: string, since: number): readonly HealthPoint[]
}

export const SLOT_MS = 10_000
const KEPT = 360

interface Sums {
  operations: number
  failed: number
  readonly latency: number[]
}

interface Slot {
  readonly index: number
  epoch: number
  readonly paths: Partial<Record<Path, Sums>>
  compared: number
  mismatches: number
  secondaryFailures: number
}

const emptySums = (): Sums => ({
  operations: 0,
  failed: 0,
  latency: new Array<number>(LATENCY_BUCKETS_MS.length + 1).fill(0),
})

export function createHealthSeries(): HealthSeries {
  const all = new Map<string, Slot[]>()

  function slotAt(migration: string, index: number): Slot | undefined {
    const slots = all.get(migration) ?? []
    all.set(migration, slots)
    const last = slots.at(-1)
    // What comes late belongs to the slot before at most.
    if (last !== undefined && index <= last.index) return slots.findLast((slot) => slot.index === index)
    const slot = { index, epoch: 0, paths: {}, compared: 0, mismatches: 0, secondaryFailures: 0 }
    slots.push(slot)
    while ((slots[0]?.index ?? index) <= index - KEPT) slots.shift()
    return slot
  }

  return {
    take(measurements, at) {
      for (const measurement of measurements) {
        const slot = slotAt(measurement.migration, Math.floor(at / SLOT_MS))
        if (slot === undefined) continue
        slot.epoch = Math.max(slot.epoch, measurement.epoch)
        slot.compared += measurement.compared
        slot.mismatches += measurement.mismatches
        slot.secondaryFailures += measurement.secondaryFailures
        const sums = slot.paths[measurement.path] ?? emptySums()
        slot.paths[measurement.path] = sums
        sums.operations += measurement.count
        for (const count of Object.values(measurement.errors)) sums.failed += count
        for (const [bucket, count] of measurement.latency.entries()) {
          sums.latency[bucket] = (sums.latency[bucket] ?? 0) + count
        }
      }
    },
    of: (migration, since) => (all.get(migration) ?? []).map(pointOf).filter((point) => point.at > since),
  }
}

function pointOf(slot: Slot): HealthPoint {
  const { epoch, compared, mismatches, secondaryFailures, paths } = slot
  return {
    at: (slot.index + 1) * SLOT_MS,
    epoch,
    compared,
    mismatches,
    secondaryFailures,
    ...(paths.old === undefined ? {} : { old: pathPoint(paths.old) }),
    ...(paths.new === undefined ? {} : { new: pathPoint(paths.new) }),
  }
}

function pathPoint({ operations, failed, latency }: Sums): PathPoint {
  const p99Ms = latencyQuantile(latency, 0.99)
  return {
    operations,
    errorRate: operations === 0 ? 0 : Math.min(1, failed / operations),
    ...(p99Ms === undefined ? {} : { p99Ms }),
  }
}
