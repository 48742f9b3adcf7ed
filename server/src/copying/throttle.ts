import type { WorkOrder } from '../execution/execution-port.ts'
import { throwIfStopped } from '../target/execution-error.ts'
import { pause } from '../target/pause.ts'

export interface ChunkLimits {
  /** Milliseconds that one chunk should take. */
  readonly target: number
  readonly min: number
  readonly max: number
}

/** Size of the next chunk, from how long the last one took. Steps are bounded: one odd chunk says little. */
export function nextChunkSize(size: number, ms: number, { target, min, max }: ChunkLimits): number {
  const step = Math.min(2, Math.max(0.5, target / Math.max(ms, 1)))
  return Math.round(Math.min(Math.max(min, max), Math.max(min, size * step)))
}

export interface RateLimit {
  /** Waits until `rows` more may be copied. */
  take(rows: number, signal: AbortSignal): Promise<void>
}

/** Spreads rows over time; what was not used is not saved up for longer than a second. */
export function createRateLimit(rowsPerSecond: () => number | undefined, clock: () => number): RateLimit {
  let free = clock()
  return {
    take: async (rows, signal) => {
      const limit = rowsPerSecond()
      if (limit === undefined) return
      const now = clock()
      const wait = free - now
      free = Math.max(free, now - 1000) + (rows * 1000) / limit
      if (wait > 0) await pause(wait, signal)
    },
  }
}

/** Waits while the order says that copying may not go on. */
export async function whileHeldBack(
  heldBackBy: WorkOrder['heldBackBy'],
  signal: AbortSignal,
  tell: (reason: string | undefined) => void,
): Promise<void> {
  for (;;) {
    throwIfStopped(signal)
    const reason = await heldBackBy()
    tell(reason)
    if (reason === undefined) return
    await pause(100, signal)
  }
}
