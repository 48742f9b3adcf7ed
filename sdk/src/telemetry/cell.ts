import {
  coarseLatencies,
  emptyLatencies,
  latencyBucket,
  type Measurement,
  type Path,
} from '@switchback/migrations-registry'

export type MeasuredOperation = Measurement['operation']

/** Classes of errors that one cell tells apart; the rest counts as `other`. */
const MAX_CLASSES = 32
/** So many failures since the last batch, and such a share of all, are not left to wait for the next one. */
const BURST = 3
const BURST_SHARE = 0.05

/** Running counts of one path under one epoch, for one kind of operation. */
export interface Cell {
  readonly migration: string
  readonly epoch: number
  readonly path: Path
  readonly operation: MeasuredOperation
  count: number
  errors: Map<string, number> | undefined
  /** By `FINE_LATENCY_BUCKETS_MS`. */
  readonly latency: number[]
  /** Sum of all latencies in milliseconds. */
  totalMs: number
  mismatches: number
  compared: number
  secondaryFailures: number
  /** Of the operations counted here, those beside one that was served, and how many of them failed. */
  shadows: number
  shadowsFailed: number
  /** Failures since the last batch. */
  failed: number
  /** Told when failures come in a burst. */
  readonly onBurst: (() => void) | undefined
}

export const createCell = (
  migration: string,
  epoch: number,
  path: Path,
  operation: MeasuredOperation,
  onBurst?: () => void,
): Cell => ({
  migration,
  epoch,
  path,
  operation,
  count: 0,
  errors: undefined,
  latency: emptyLatencies(),
  totalMs: 0,
  mismatches: 0,
  compared: 0,
  secondaryFailures: 0,
  shadows: 0,
  shadowsFailed: 0,
  failed: 0,
  onBurst,
})

/** Counts a success. Called for every operation: no allocation. */
export function recordSuccess(cell: Cell, ms: number): void {
  cell.count++
  cell.totalMs += ms
  const bucket = latencyBucket(ms)
  cell.latency[bucket] = (cell.latency[bucket] ?? 0) + 1
}

export function recordFailure(cell: Cell, ms: number, error: unknown): void {
  recordSuccess(cell, ms)
  cell.errors ??= new Map()
  const name = classOf(error)
  const known = cell.errors.has(name) || cell.errors.size < MAX_CLASSES
  const key = known ? name : 'other'
  cell.errors.set(key, (cell.errors.get(key) ?? 0) + 1)
  cell.failed++
  if (cell.failed >= BURST && cell.failed >= cell.count * BURST_SHARE) cell.onBurst?.()
}

/** The class of an error: its code where it has one, else its name. */
export function classOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return typeof error
  if ('code' in error && typeof error.code === 'string' && error.code !== '') return error.code.slice(0, 100)
  if ('name' in error && typeof error.name === 'string' && error.name !== '') return error.name.slice(0, 100)
  return 'Error'
}

export const isEmpty = (cell: Cell): boolean =>
  cell.count === 0 && cell.compared === 0 && cell.mismatches === 0

export const measurementOf = (cell: Cell): Measurement => ({
  migration: cell.migration,
  epoch: cell.epoch,
  path: cell.path,
  operation: cell.operation,
  count: cell.count,
  errors: Object.fromEntries(cell.errors ?? []),
  latency: coarseLatencies(cell.latency),
  fine: [...cell.latency],
  mismatches: cell.mismatches,
  compared: cell.compared,
  secondaryFailures: cell.secondaryFailures,
  ...(cell.shadows === 0 ? {} : { shadow: { count: cell.shadows, failed: cell.shadowsFailed } }),
})

/** Adds the counts of a cell to another one. */
export function addTo(total: Cell, cell: Cell): void {
  total.count += cell.count
  total.totalMs += cell.totalMs
  total.mismatches += cell.mismatches
  total.compared += cell.compared
  total.secondaryFailures += cell.secondaryFailures
  total.shadows += cell.shadows
  total.shadowsFailed += cell.shadowsFailed
  for (let i = 0; i < cell.latency.length; i++)
    total.latency[i] = (total.latency[i] ?? 0) + (cell.latency[i] ?? 0)
  for (const [name, count] of cell.errors ?? []) {
    total.errors ??= new Map()
    const key = total.errors.has(name) || total.errors.size < MAX_CLASSES ? name : 'other'
    total.errors.set(key, (total.errors.get(key) ?? 0) + count)
  }
}

export function clear(cell: Cell): void {
  cell.count = 0
  cell.totalMs = 0
  cell.mismatches = 0
  cell.compared = 0
  cell.secondaryFailures = 0
  cell.shadows = 0
  cell.shadowsFailed = 0
  cell.failed = 0
  cell.errors = undefined
  cell.latency.fill(0)
}
