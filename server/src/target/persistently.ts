import { isTransient, throwIfStopped } from './execution-error.ts'
import { backoff, pause } from './pause.ts'

export interface Patience {
  readonly clock: () => number
  readonly random: () => number
  /** How long the same work is tried in vain. */
  readonly patienceMs: number
}

/** Tries again what failed because somebody was in the way or a connection broke. */
export async function persistently<T>(
  { clock, random, patienceMs }: Patience,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = clock() + patienceMs
  for (let attempt = 1; ; attempt++) {
    throwIfStopped(signal)
    try {
      return await work()
    } catch (error) {
      throwIfStopped(signal)
      if (!isTransient(error) || clock() > deadline) throw error
      await pause(backoff(attempt, random, 20, 2_000), signal)
    }
  }
}
