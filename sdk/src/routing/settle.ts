import type { Clock } from '../clock.ts'
import { type Cell, recordFailure, recordSuccess } from '../telemetry/cell.ts'
import { endOperation, type Operation } from './epoch-ledger.ts'

/** Ends an operation when its handler's result is there, measures it, and hands the result on. */
export type Settle = (operation: Operation, cell: Cell, result: unknown) => Promise<unknown>

/** @param check called with every success, after the operation has ended; what it throws reaches the caller */
export function createSettle(clock: Clock, check?: (operation: Operation) => void): Settle {
  return (operation, cell, result) =>
    // A promise of the runtime's own is not wrapped again here.
    Promise.resolve(result).then(
      (value) => {
        recordSuccess(cell, clock.now() - operation.startedAt)
        endOperation(operation)
        check?.(operation)
        return value
      },
      (error: unknown) => {
        recordFailure(cell, clock.now() - operation.startedAt, error)
        endOperation(operation)
        throw error
      },
    )
}
