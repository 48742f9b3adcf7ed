import { setTimeout as delay } from 'node:timers/promises'
import { WorkStopped } from './execution-error.ts'

/** Waits; ends at once with WorkStopped when the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    throw new WorkStopped(error)
  }
}

/** Milliseconds before try number `attempt` (from 1): exponential, up to `max`, with full jitter above half. */
export function backoff(attempt: number, random: () => number, first = 50, max = 5_000): number {
  const ceiling = Math.min(max, first * 2 ** Math.min(attempt - 1, 20))
  return ceiling / 2 + (random() * ceiling) / 2
}
