import type { Measurement, Path, Telemetry } from '@switchback/migrations-registry'
import {
  addTo,
  type Cell,
  clear,
  createCell,
  isEmpty,
  type MeasuredOperation,
  measurementOf,
} from './cell.ts'

/** Epochs of one migration whose totals are kept for `metrics()`; older ones leave the exposition. */
const EPOCHS_KEPT = 8
/** What one message may carry; the wire refuses more. */
const MAX_MEASUREMENTS = 2000

/** Collects measurements: counts since the last batch for the server, totals for the exposition. */
export interface Recorder {
  /** The cell to count into. Look it up once per epoch, not per operation. */
  cell(migration: string, epoch: number, path: Path, operation: MeasuredOperation): Cell
  /** Everything since the last call, or undefined where there is nothing. */
  take(): Telemetry | undefined
  /** Counts a batch that did not reach the server. */
  dropped(batch: Telemetry): void
  readonly droppedTotal: number
  /** Totals since the start, of the newest epochs. */
  totals(): readonly Cell[]
}

const keyOf = (cell: Pick<Cell, 'migration' | 'epoch' | 'path' | 'operation'>): string =>
  `${cell.migration} ${cell.epoch} ${cell.path} ${cell.operation}`

/** @param onBurst told when operations fail in a burst: the next batch is wanted soon */
export function createRecorder(onBurst?: () => void): Recorder {
  const cells = new Map<string, Cell>()
  const totals = new Map<string, Cell>()
  let droppedSince = 0
  let droppedTotal = 0

  /** Forgets the cells and totals of epochs that are long gone; a straggler's counts go with them. */
  const forget = (migration: string): void => {
    const epochs = [
      ...new Set([...cells.values()].filter((c) => c.migration === migration).map((c) => c.epoch)),
    ]
    const gone = epochs.sort((a, b) => b - a).slice(EPOCHS_KEPT)
    for (const [key, cell] of cells) {
      if (cell.migration === migration && gone.includes(cell.epoch) && isEmpty(cell)) {
        cells.delete(key)
        totals.delete(key)
      }
    }
  }

  const drop = (operations: number): void => {
    droppedSince += operations
    droppedTotal += operations
  }
  const sum = (measurements: readonly Measurement[]): number =>
    measurements.reduce((all, measurement) => all + measurement.count, 0)

  return {
    cell(migration, epoch, path, operation) {
      const key = keyOf({ migration, epoch, path, operation })
      let cell = cells.get(key)
      if (cell === undefined) {
        cell = createCell(migration, epoch, path, operation, onBurst)
        cells.set(key, cell)
        forget(migration)
      }
      return cell
    },
    take() {
      const measurements: Measurement[] = []
      for (const [key, cell] of cells) {
        if (isEmpty(cell)) continue
        measurements.push(measurementOf(cell))
        let total = totals.get(key)
        if (total === undefined) {
          total = createCell(cell.migration, cell.epoch, cell.path, cell.operation)
          totals.set(key, total)
        }
        addTo(total, cell)
        clear(cell)
      }
      drop(sum(measurements.splice(MAX_MEASUREMENTS)))
      if (measurements.length === 0 && droppedSince === 0) return undefined
      const batch = { measurements, dropped: droppedSince }
      droppedSince = 0
      return batch
    },
    dropped(batch) {
      droppedSince += batch.dropped
      drop(sum(batch.measurements))
    },
    get droppedTotal() {
      return droppedTotal
    },
    totals() {
      const all: Cell[] = []
      for (const [key, cell] of cells) {
        const sumOf = createCell(cell.migration, cell.epoch, cell.path, cell.operation)
        const total = totals.get(key)
        if (total !== undefined) addTo(sumOf, total)
        addTo(sumOf, cell)
        if (!isEmpty(sumOf)) all.push(sumOf)
      }
      return all
    },
  }
}
