import type { Measurement, Path } from '@switchback/migrations-registry'

/** What one path did in one epoch within one slot of time. */
export interface HealthSlot {
  readonly migration: string
  /** Beginning of the slot, Unix milliseconds. */
  readonly at: number
  readonly epoch: number
  readonly path: Path
  operations: number
  failed: number
  readonly latency: number[]
  compared: number
  mismatches: number
  secondaryFailures: number
}

export const SLOT_MS = 10_000
/** Of a store that cannot be written to for long, the latest are kept. */
const MAX_KEPT = 20_000

/** Adds up what is measured into slots; those that changed are handed out until they are said to be written. */
export function createHealthSlots() {
  const slots = new Map<string, HealthSlot>()
  const changed = new Set<string>()
  return {
    add(measurements: readonly Measurement[], now: number): void {
      const at = Math.floor(now / SLOT_MS) * SLOT_MS
      for (const measurement of measurements) {
        const { migration, epoch, path } = measurement
        const key = `${at} ${epoch} ${path} ${migration}`
        const slot = slots.get(key) ?? emptySlot(measurement, at)
        slots.set(key, slot)
        changed.add(key)
        addTo(slot, measurement)
      }
      for (const key of slots.keys()) {
        if (slots.size <= MAX_KEPT) break
        slots.delete(key)
        changed.delete(key)
      }
    },
    /** What is to be written, as it stands; what comes meanwhile is handed out the next time. */
    take(): readonly HealthSlot[] {
      const taken = [...changed].flatMap((key) => slots.get(key) ?? [])
      changed.clear()
      return taken.map((slot) => ({ ...slot, latency: [...slot.latency] }))
    },
    /** They could not be written: they are handed out again. */
    giveBack(taken: readonly HealthSlot[]): void {
      for (const { at, epoch, path, migration } of taken) {
        const key = `${at} ${epoch} ${path} ${migration}`
        if (slots.has(key)) changed.add(key)
      }
    },
    /** Forgets what is written and over. */
    forget(now: number): void {
      const present = Math.floor(now / SLOT_MS) * SLOT_MS
      for (const [key, slot] of slots) if (slot.at < present && !changed.has(key)) slots.delete(key)
    },
  }
}

const emptySlot = ({ migration, epoch, path }: Measurement, at: number): HealthSlot => ({
  migration,
  at,
  epoch,
  path,
  operations: 0,
  failed: 0,
  latency: [],
  compared: 0,
  mismatches: 0,
  secondaryFailures: 0,
})

function addTo(slot: HealthSlot, measurement: Measurement): void {
  slot.operations += measurement.count
  for (const count of Object.values(measurement.errors)) slot.failed += count
  slot.compared += measurement.compared
  slot.mismatches += measurement.mismatches
  slot.secondaryFailures += measurement.secondaryFailures
  for (const [bucket, count] of measurement.latency.entries()) {
    slot.latency[bucket] = (slot.latency[bucket] ?? 0) + count
  }
}
