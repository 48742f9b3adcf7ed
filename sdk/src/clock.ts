/** Cancels a timer; may be called again. */
export type Cancel = () => void

/** The time, as the SDK needs it: monotonic, so that a jump of the wall clock changes nothing. */
export interface Clock {
  /** Milliseconds since some fixed moment, with fractions. Never goes back. */
  now(): number
  /**
   * Runs `task` once.
   *
   * @param hold `hold` keeps the process alive meanwhile: for what a caller waits for, never for housekeeping
   */
  after(ms: number, task: () => void, hold?: 'hold'): Cancel
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, task, hold) => {
    const timer = setTimeout(task, ms)
    if (hold === undefined) timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Resolves true when `work` settles within `ms`, false otherwise. Holds the process meanwhile. */
export function settlesWithin(clock: Clock, work: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(false), 'hold')
    const settled = (): void => {
      cancel()
      resolve(true)
    }
    work.then(settled, settled)
  })
}

/** Waits, and holds the process meanwhile. */
export const sleep = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve, 'hold')
  })
