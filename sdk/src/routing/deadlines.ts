import type { Clock } from '../clock.ts'
import type { Operation } from './epoch-ledger.ts'

/** Deadlines of operations, on one timer: a timer for each would cost more than the comparison it bounds. */
export interface Deadlines {
  set(operation: Operation, timeoutMs: number): void
  /** No deadline any more. */
  lift(operation: Operation): void
}

/** @param late called once for an operation whose time is over, up to a few milliseconds after that */
export function createDeadlines(clock: Clock, late: (operation: Operation) => void): Deadlines {
  const waiting = new Map<Operation, number>()
  let armed = false

  const arm = (ms: number): void => {
    armed = true
    clock.after(Math.max(1, ms), () => {
      armed = false
      const now = clock.now()
      let next = Number.POSITIVE_INFINITY
      for (const [operation, until] of waiting) {
        if (until > now) next = Math.min(next, until)
        else {
          waiting.delete(operation)
          late(operation)
        }
      }
      if (next !== Number.POSITIVE_INFINITY) arm(next - now)
    })
  }

  return {
    set: (operation, timeoutMs) => {
      waiting.set(operation, operation.startedAt + timeoutMs)
      if (!armed) arm(timeoutMs)
    },
    lift: (operation) => {
      waiting.delete(operation)
    },
  }
}
