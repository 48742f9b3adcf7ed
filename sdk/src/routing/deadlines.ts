import type { Clock } from '../clock.ts'
import type { Operation } from './epoch-ledger.ts'

/** Deadlines of operations, on one timer: a timer for each would cost more than the comparison it bounds. */
export interface Deadlines {
  set(operation: Operation, timeoutMs: number): void
  /** No deadline any more. */
  lift(operation: Operation): void
}

/**
 * @param late called once for an operation whose time is over. After the timeout was shortened, those that
 *   follow may be late by what it was before, once.
 */
export function createDeadlines(clock: Clock, late: (operation: Operation) => void): Deadlines {
  // A handful at a time; a map that is filled and emptied without pause keeps the garbage collector busy.
  const waiting: { readonly operation: Operation; readonly until: number }[] = []
  let armed = false

  const arm = (ms: number): void => {
    armed = true
    clock.after(Math.max(1, ms), () => {
      armed = false
      const now = clock.now()
      for (const { operation } of waiting.filter(({ until }) => until <= now)) {
        lift(operation)
        late(operation)
      }
      const next = waiting.reduce((soonest, { until }) => Math.min(soonest, until), Number.POSITIVE_INFINITY)
      if (next !== Number.POSITIVE_INFINITY) arm(next - now)
    })
  }

  const lift = (operation: Operation): void => {
    const index = waiting.findIndex((entry) => entry.operation === operation)
    const last = index < 0 ? undefined : waiting.pop()
    if (last !== undefined && index < waiting.length) waiting[index] = last
  }

  return {
    set: (operation, timeoutMs) => {
      waiting.push({ operation, until: operation.startedAt + timeoutMs })
      if (!armed) arm(timeoutMs)
    },
    lift,
  }
}
