import type { Cancel, Clock } from '../clock.ts'

const FLUSH_MS = 1_000
/** How soon after the batch before one is sent during a burst of failures; each one longer than the last. */
const HURRY_MS: readonly number[] = [100, 200, 400]

export interface FlushSchedule {
  /** Operations fail in a burst: the next batch is sent early. */
  hurry(): void
  stop(): void
}

/**
 * When batches are sent: once a second, and a few times sooner while operations begin to fail, so that the
 * server can revert at once. What goes on failing is told of at the usual pace: a whole fleet must not
 * multiply its messages for as long as an outage lasts.
 */
export function createFlushSchedule(clock: Clock, flush: () => void): FlushSchedule {
  let cancel: Cancel = () => undefined
  let sentAt = clock.now()
  let dueAt = Number.POSITIVE_INFINITY
  let hurried = 0
  let isBurst = false
  let stopped = false

  const schedule = (at: number): void => {
    cancel()
    dueAt = at
    cancel = clock.after(Math.max(0, at - clock.now()), () => {
      sentAt = clock.now()
      // A second without a burst: the next one is a new one.
      if (!isBurst) hurried = 0
      isBurst = false
      schedule(sentAt + FLUSH_MS)
      flush()
    })
  }
  schedule(sentAt + FLUSH_MS)

  return {
    hurry: () => {
      const first = !isBurst
      isBurst = true
      const wait = HURRY_MS[hurried]
      if (stopped || !first || wait === undefined) return
      const at = Math.max(sentAt + wait, clock.now() + wait / 4)
      if (at >= dueAt) return
      hurried++
      schedule(at)
    },
    stop: () => {
      stopped = true
      cancel()
    },
  }
}
