import type { MigrationDefinition } from './definition.ts'
import { tripwiresOf } from './definition.ts'
import { emptyLatencies, fineLatencies } from './latency-histogram.ts'
import type { Path } from './phases.ts'
import type { Millis } from './state.ts'
import type { Measurement } from './wire.ts'

/** Writes and removals are one kind: both change the path. */
export type OperationKind = 'read' | 'write'

/** Sums over a window. */
export interface Figures {
  count: number
  failed: number
  /** Errors by class; bounded, the rest counts as `other`. */
  readonly errors: Map<string, number>
  /** By `FINE_LATENCY_BUCKETS_MS`. */
  readonly latency: number[]
  mismatches: number
  compared: number
  secondaryFailures: number
  /** Start of the earliest slot in which something failed. */
  firstFailedAt: Millis | undefined
}

export interface WindowQuery {
  readonly path: Path
  /** Both kinds together where not given. */
  readonly operation?: OperationKind
  /** Measurements of older epochs do not count. */
  readonly sinceEpoch: number
  /** Not before this moment, whatever the window says. */
  readonly notBefore: Millis
  readonly window: Millis
  /** 0: the window that ends now; 1: the one before it. */
  readonly ago?: number
  /** Only the newest quarter of the window. */
  readonly newest?: boolean
  readonly now: Millis
}

/** Measurements of one migration over sliding windows, merged over instances and servers. Bounded in memory. */
export interface Windows {
  add(measurement: Measurement, at: Millis): void
  sum(query: WindowQuery): Figures
  /** When an operation was told of last. */
  readonly lastAt: Millis | undefined
}

/** A window slides by a twentieth of itself. */
const SLOTS = 20
/** Kinds of counts in one slot: paths, operations, and the few epochs of one window. */
const MAX_CELLS = 64
const MAX_CLASSES = 32

export const emptyFigures = (): Figures => ({
  count: 0,
  failed: 0,
  errors: new Map(),
  latency: emptyLatencies(),
  mismatches: 0,
  compared: 0,
  secondaryFailures: 0,
  firstFailedAt: undefined,
})

interface Cell {
  readonly epoch: number
  readonly path: Path
  readonly operation: OperationKind
  readonly figures: Figures
}

interface Series {
  readonly slotMs: number
  /** Slots that are kept. */
  readonly keep: number
  readonly slots: Map<number, Map<string, Cell>>
  newest: number
}

/** What copying goes by that is held back by the application's own latency. */
export const LATENCY_WINDOW_MS = 10_000

const MINUTE_MS = 60_000
/** Classes of errors that say that a database could not be reached, by PostgreSQL and by Node. */
const UNREACHABLE = /^(08|57P0[123]|53300|ECONN|ETIMEDOUT|ENOTFOUND|EPIPE|EHOSTUNREACH)/

/** Operations that failed within the last minute because a database could not be reached, on either path. */
export function connectionErrors(windows: Windows, now: Millis): number {
  const query = { sinceEpoch: 0, notBefore: 0, window: MINUTE_MS, now }
  return (['old', 'new'] as const)
    .flatMap((path) => [...windows.sum({ ...query, path }).errors])
    .reduce((sum, [name, count]) => sum + (UNREACHABLE.test(name) ? count : 0), 0)
}

/** How long windows must be remembered, by the length of each: those of a migration's own tripwires and of its copy. */
export function spansOf(definition: MigrationDefinition): ReadonlyMap<Millis, number> {
  const spans = new Map<Millis, number>()
  const need = (window: Millis, inARow: number) => spans.set(window, Math.max(spans.get(window) ?? 0, inARow))
  for (const tripwire of tripwiresOf(definition)) {
    if (tripwire.watch === 'database' && tripwire.signal === 'connection-errors') need(MINUTE_MS, 1)
    if (!('window' in tripwire)) continue
    need(tripwire.window, tripwire.for)
    if (tripwire.shortWindow !== undefined) need(tripwire.shortWindow, 1)
  }
  if (definition.copy !== undefined) need(LATENCY_WINDOW_MS, 1)
  return spans
}

/** @param spans lengths of the windows that will be asked for, and how many in a row of each */
export function createWindows(spans: ReadonlyMap<Millis, number>): Windows {
  const all = new Map<Millis, Series>()
  for (const [window, inARow] of spans) {
    const slotMs = Math.max(1, Math.ceil(window / SLOTS))
    all.set(window, { slotMs, keep: SLOTS * inARow, slots: new Map(), newest: 0 })
  }
  let lastAt: Millis | undefined

  return {
    add(measurement, at) {
      if (measurement.count > 0) lastAt = Math.max(lastAt ?? at, at)
      for (const series of all.values()) addTo(series, measurement, at)
    },
    sum({ path, operation, sinceEpoch, notBefore, window, ago = 0, newest = false, now }) {
      const total = emptyFigures()
      const series = all.get(window)
      if (series === undefined) return total
      const last = Math.floor(now / series.slotMs) - ago * SLOTS
      for (let index = last - (newest ? SLOTS / 4 : SLOTS) + 1; index <= last; index++) {
        if (index * series.slotMs < notBefore) continue
        for (const cell of series.slots.get(index)?.values() ?? []) {
          if (cell.path !== path || cell.epoch < sinceEpoch) continue
          if (operation !== undefined && cell.operation !== operation) continue
          merge(total, cell.figures, index * series.slotMs)
        }
      }
      return total
    },
    get lastAt() {
      return lastAt
    },
  }
}

function addTo(series: Series, measurement: Measurement, at: Millis): void {
  const index = Math.floor(at / series.slotMs)
  if (index <= series.newest - series.keep) return
  if (index > series.newest) {
    series.newest = index
    for (const old of series.slots.keys()) if (old <= index - series.keep) series.slots.delete(old)
  }
  let slot = series.slots.get(index)
  if (slot === undefined) {
    slot = new Map()
    series.slots.set(index, slot)
  }
  const { epoch, path } = measurement
  const operation = measurement.operation === 'read' ? 'read' : 'write'
  const key = `${epoch} ${path} ${operation}`
  let cell = slot.get(key)
  if (cell === undefined) {
    if (slot.size >= MAX_CELLS) return
    cell = { epoch, path, operation, figures: emptyFigures() }
    slot.set(key, cell)
  }
  const { figures } = cell
  figures.count += measurement.count
  figures.mismatches += measurement.mismatches
  figures.compared += measurement.compared
  figures.secondaryFailures += measurement.secondaryFailures
  addLatency(figures, fineLatencies(measurement))
  for (const [name, count] of Object.entries(measurement.errors)) addErrors(figures, name, count)
}

function merge(total: Figures, part: Figures, at: Millis): void {
  total.count += part.count
  total.mismatches += part.mismatches
  total.compared += part.compared
  total.secondaryFailures += part.secondaryFailures
  addLatency(total, part.latency)
  for (const [name, count] of part.errors) addErrors(total, name, count)
  if (part.failed > 0) total.firstFailedAt = Math.min(total.firstFailedAt ?? at, at)
}

function addLatency(total: Figures, latency: readonly number[]): void {
  for (let i = 0; i < total.latency.length; i++) {
    total.latency[i] = (total.latency[i] ?? 0) + (latency[i] ?? 0)
  }
}

function addErrors(total: Figures, name: string, count: number): void {
  if (count === 0) return
  const key = total.errors.has(name) || total.errors.size < MAX_CLASSES ? name : 'other'
  total.errors.set(key, (total.errors.get(key) ?? 0) + count)
  total.failed += count
}
