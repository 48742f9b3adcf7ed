import type { WorkOrder } from '../execution/execution-port.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { isContention, isDataError, isTransient, throwIfStopped } from '../target/execution-error.ts'
import { watched } from '../target/in-the-way.ts'
import { backoff, pause } from '../target/pause.ts'
import type { Patience } from '../target/persistently.ts'
import type { Progress } from '../target/progress.ts'
import type { Connection } from '../target/target.ts'
import type { Copy, Places } from './checkpoints.ts'
import type { ChunkCopied, OpenRange } from './copy-chunk.ts'
import { giveUpRow } from './failed-rows.ts'
import { COMMIT_WITHOUT_WAITING } from './settle-copy.ts'
import { splitRange } from './split-range.ts'
import { type ChunkLimits, nextChunkSize, type RateLimit, whileHeldBack } from './throttle.ts'

/** What the workers of one process share. */
export interface CopyRun extends Patience {
  readonly order: WorkOrder
  readonly places: Places
  readonly mapping: Mapping
  readonly copy: Copy
  /** On a connection to the target. Undefined where another worker has the range, or had it. */
  copyRange(connection: Connection, range: OpenRange): Promise<ChunkCopied | undefined>
  readonly progress: Progress
  readonly limit: RateLimit
  /** Ranges of this process to do before new ones are handed out. */
  readonly open: OpenRange[]
  readonly counts: { retries: number }
  readonly signal: AbortSignal
  /** Whether to wait for ranges that others are copying, in case they give them up. */
  readonly toTheEnd: boolean
}

/** Below PostgreSQL's deadlock timeout of 1 s: should the application and the copy ever wait for each
 *  other, the copy gives way before the application is chosen as the victim. */
const LOCK_TIMEOUT_MS = 700
const FIRST_CHUNK = 2_000
/** From this size on the next range is looked up while this one is copied. */
const AHEAD_FROM = 1_000
/**
 * A chunk is at most so small a part of the rows, so that few of the application's writes meet one and wait: any
 * write of a row of it, or, where rows of old are not locked, one that comes to make the row of new.
 */
const PARTS = 250
const PARTS_WITHOUT_LOCKS = 100
/** But for chunks that nobody waits for long. */
const SHORT_CHUNK = 2_000
const TRIES_BEFORE_SPLIT = 3
const BUSY_MS = 50

/** One worker: range after range, on a connection of its own, a new one where that broke. */
export async function copyWorker(run: CopyRun, name: string): Promise<void> {
  const chunk = limitsOfChunks(run)
  const { target } = run.places
  let size = Math.max(chunk.min, Math.min(chunk.max, FIRST_CHUNK))
  let pending: OpenRange | undefined
  let ahead: ReturnType<Copy['next']> | undefined
  let failures = 0
  let failingSince: number | undefined

  const atMost = (rows: number): number => Math.min(rows, run.limit.most() ?? rows)

  const nextRange = async (): Promise<OpenRange | undefined> => {
    const own = run.open.pop()
    if (own !== undefined) return own
    for (;;) {
      const looked = ahead
      ahead = undefined
      const handedOut = await (looked ?? run.copy.next(atMost(size), name, run.limit.most()))
      if (handedOut !== undefined && handedOut !== 'later') return handedOut
      const left = await run.copy.leftOver(name)
      if (left !== 'busy' && (left !== undefined || handedOut === undefined)) return left
      if (!run.toTheEnd) return undefined
      if (left === 'busy') await pause(BUSY_MS, run.signal)
    }
  }

  const session = async (connection: Connection) => {
    await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}; ${COMMIT_WITHOUT_WAITING}`)
    for (;;) {
      await whileHeldBack(run.order.heldBackBy, run.signal, (reason) =>
        run.progress.throttledBy(reason ?? run.limit.because),
      )
      pending ??= await nextRange()
      if (pending === undefined) return
      const rests = run.limit.rests()
      const range = rests === undefined ? pending : { ...pending, rests }
      if (atMost(size) >= AHEAD_FROM && ahead === undefined && run.open.length === 0) {
        ahead = run.copy.next(atMost(size), name, run.limit.most())
        // Whoever asks for it hears of a failure.
        ahead.catch(() => undefined)
      }
      const began = run.clock()
      const copied = await watched(
        target,
        connection.pid,
        (reason) => run.progress.throttledBy(reason),
        () => run.copyRange(connection, range),
      ).catch((error: unknown) => {
        // What was begun was rolled back: the connection is as good as before.
        if (isDataError(error)) return error as Error
        throw error
      })
      if (copied instanceof Error) await narrow(run, range, copied)
      pending = undefined
      failures = 0
      failingSince = undefined
      // Another worker has it, or had it: what is left over is found in the end.
      if (copied === undefined || copied instanceof Error) continue
      size = nextChunkSize(size, run.clock() - began, chunk)
      run.progress.advance(copied.rows)
      await run.limit.take(Math.max(copied.rows, range.counts ?? 0), run.signal)
    }
  }
  for (;;) {
    throwIfStopped(run.signal)
    try {
      await target.cancellable(run.signal, session)
      return
    } catch (error) {
      throwIfStopped(run.signal)
      if (!isTransient(error)) throw error
      failures += 1
      run.counts.retries += 1
      failingSince ??= run.clock()
      if (run.clock() - failingSince > run.patienceMs) throw error
      if (pending !== undefined && isContention(error) && failures % TRIES_BEFORE_SPLIT === 0) {
        // One row that is held for long must not keep its whole range from being copied.
        const halves = await splitRange(run.places, pending).catch(() => 'single' as const)
        if (halves === undefined) pending = undefined
        else if (halves !== 'single') {
          pending = halves[0]
          run.open.unshift(halves[1])
          size = Math.max(chunk.min, Math.round(size / 2))
        }
      }
      await pause(backoff(failures, run.random), run.signal)
    }
  }
}

function limitsOfChunks({ mapping, copy }: CopyRun): ChunkLimits {
  const { chunk } = mapping.copy
  const parts = copy.withoutLocks ? PARTS_WITHOUT_LOCKS : PARTS
  const most = Math.max(chunk.min, SHORT_CHUNK, Math.ceil(copy.total / parts))
  return { ...chunk, max: Math.min(chunk.max, most) }
}

/** Splits a range whose rows are at fault down to the row, which is written down. */
async function narrow(run: CopyRun, range: OpenRange, error: Error): Promise<void> {
  const halves = await splitRange(run.places, range)
  if (halves === 'single') {
    const failed = await giveUpRow(run.places, run.mapping, run.copy.total, range, error)
    run.progress.advance(1)
    run.progress.detail({ failedRows: failed })
  } else if (halves !== undefined) {
    run.open.push(halves[1], halves[0])
  }
}
