import type { WorkOrder } from '../execution/execution-port.ts'
import { throwIfStopped } from '../target/execution-error.ts'
import { pause } from '../target/pause.ts'
import { mostRows } from './pace.ts'
import { type Rests, restsAt } from './rests.ts'

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
  /** Rows that one statement may be of, at most; undefined without bound. */
  most(): number | undefined
  /** How a statement is to rest that keeps nobody waiting meanwhile; undefined where it need not. */
  rests(): Rests | undefined
  /** Waits until `rows` more may be gone through. */
  take(rows: number, signal: AbortSignal): Promise<void>
  /** Why it has had somebody wait lately; undefined where it has not. */
  readonly because: string | undefined
}

/** So many rows that are looked at cost an application as much as one that is copied. */
export const LOOKED_PER_ROW = 4
/** What is not used is not saved up for longer than this: it would be gone through in one go. */
const SAVED_MS = 50
const LATELY_MS = 1_000

/**
 * Spreads rows over time, by the pace of the order and, where rows are copied, by the limit of a second.
 *
 * @param perRow rows that cost an application as much as one that is copied
 * @param workers how many go through rows at the same time
 */
export function createRateLimit(
  order: Pick<WorkOrder, 'pace'>,
  clock: () => number,
  {
    perRow = 1,
    workers = 1,
    rowsPerSecond = () => undefined,
  }: {
    readonly perRow?: number
    readonly workers?: number
    readonly rowsPerSecond?: () => number | undefined
  } = {},
): RateLimit {
  let free = clock()
  let waited: { readonly at: number; readonly by: string } | undefined
  const pace = () => {
    const now = order.pace?.now()
    // Whoever may not go at all is held back before the next statement.
    return now === undefined || now.rowsPerSecond === 0 ? undefined : now
  }
  return {
    most: () => {
      const now = pace()
      return now === undefined ? undefined : mostRows(now.rowsPerSecond)
    },
    rests: () => {
      const now = pace()
      return now === undefined ? undefined : restsAt((now.rowsPerSecond * perRow) / workers)
    },
    take: async (rows, signal) => {
      order.pace?.passed(rows / perRow)
      const paced = pace()
      const set = rowsPerSecond()
      const limits = [
        ...(set === undefined ? [] : [{ rate: set, text: `rowsPerSecond: ${set}` }]),
        ...(paced === undefined ? [] : [{ rate: paced.rowsPerSecond * perRow, text: paced.because }]),
      ].sort((one, other) => one.rate - other.rate)
      const [limit] = limits
      if (limit === undefined) return
      const now = clock()
      const wait = free - now
      free = Math.max(free, now - SAVED_MS) + (rows * 1000) / limit.rate
      if (wait <= 0) return
      waited = { at: now, by: limit.text }
      await pause(wait, signal)
    },
    get because() {
      return waited !== undefined && clock() - waited.at < LATELY_MS ? waited.by : undefined
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
