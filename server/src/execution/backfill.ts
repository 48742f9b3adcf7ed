import type { MigrationDefinition } from '@switchback/migrations-registry'
import { type Copy, openCopy, type Places, recordFailedRow, splitRange } from './checkpoints.ts'
import { type ChunkCopied, copyChunk, type OpenRange } from './copy-chunk.ts'
import { ExecutionError, isContention, isDataError, isTransient, throwIfStopped } from './execution-error.ts'
import type { WorkOrder, WorkOutcome } from './execution-port.ts'
import { retryFailedRows } from './failed-rows.ts'
import { watched } from './in-the-way.ts'
import type { Key } from './keyset.ts'
import { describeMapping, type Mapping } from './mapping.ts'
import { backoff, pause } from './pause.ts'
import { createProgress, type Progress } from './progress.ts'
import { repairKeys } from './repair-keys.ts'
import { waitForOlderSnapshots } from './snapshots.ts'
import { sweep } from './sweep.ts'
import type { Connection, Target } from './target.ts'
import { createRateLimit, nextChunkSize, type RateLimit, whileHeldBack } from './throttle.ts'
import { limitsOf } from './throttle-signals.ts'

export interface CopyDeps {
  readonly target: Target
  readonly clock: () => number
  readonly random: () => number
  readonly workers: number
  /** How long the same range is tried in vain. */
  readonly patienceMs: number
}

/** How history gets from old to new: inside of one database, or from one into the other. */
export interface CopyWay extends Places {
  describe(definition: MigrationDefinition): Promise<Mapping>
  /** On a connection to the target. Undefined where another worker has the range, or had it. */
  copyRange(
    connection: Connection,
    mapping: Mapping,
    range: OpenRange,
    signal: AbortSignal,
  ): Promise<ChunkCopied | undefined>
  repair(connection: Connection, mapping: Mapping, keys: readonly Key[]): Promise<unknown>
  /** After the last range; returns how many rows of new were removed. */
  finish(order: WorkOrder, mapping: Mapping, progress: Progress): Promise<number>
}

/** Both tables in one database. */
function inOneDatabase(deps: CopyDeps): CopyWay {
  const { target } = deps
  return {
    source: target,
    target,
    describe: (definition) => describeMapping(target, definition),
    copyRange: copyChunk,
    repair: (connection, mapping, keys) => repairKeys(connection, { mapping, leader: 'old' }, keys),
    finish: async (order, mapping, progress) => {
      progress.stage('waiting for older transactions')
      await waitForOlderSnapshots(target, order.signal, (reason) => progress.throttledBy(reason))
      return sweep(deps, order, mapping, progress)
    },
  }
}

/** Below PostgreSQL's deadlock timeout of 1 s: should the application and the copy ever wait for each
 *  other, the copy gives way before the application is chosen as the victim. */
const LOCK_TIMEOUT_MS = 700

const FIRST_CHUNK = 2_000
const TRIES_BEFORE_SPLIT = 3
/** As many failed rows never stop a backfill. */
const SPARED = 10

interface Run extends CopyDeps {
  readonly order: WorkOrder
  readonly way: CopyWay
  readonly mapping: Mapping
  readonly copy: Copy
  readonly progress: Progress
  readonly limit: RateLimit
  /** Ranges to do before new ones are handed out. */
  readonly open: OpenRange[]
  readonly counts: { rows: number; changed: number; chunks: number; failed: number; retries: number }
  readonly signal: AbortSignal
}

/** Copies history from old to new, then removes from new what old no longer has. Resumes after a crash. */
export async function backfill(
  deps: CopyDeps,
  order: WorkOrder,
  way: CopyWay = inOneDatabase(deps),
): Promise<WorkOutcome> {
  const { target, clock } = deps
  const began = clock()
  const mapping = await way.describe(order.definition)
  const copy = await openCopy(way, mapping, order.epoch)
  const progress = createProgress(order.report, clock)
  try {
    progress.stage('copying', copy.total)
    progress.advance(copy.done.rows)
    const failedElsewhere = new AbortController()
    const run: Run = {
      ...deps,
      order,
      way,
      mapping,
      copy,
      progress,
      limit: createRateLimit(() => limitsOf(order).rowsPerSecond, clock),
      open: [...copy.open].reverse(),
      counts: { rows: 0, changed: 0, chunks: 0, failed: 0, retries: 0 },
      signal: AbortSignal.any([order.signal, failedElsewhere.signal]),
    }
    const retried = await retryFailedRows(deps, order, mapping, (connection, keys) =>
      way.repair(connection, mapping, keys),
    )
    const workers = Array.from({ length: Math.max(1, deps.workers) }, () =>
      work(run).catch((error: unknown) => {
        // Nobody goes on alone after a fault; the first one is what is reported.
        failedElsewhere.abort(error)
        throw error
      }),
    )
    const ended = await Promise.allSettled(workers)
    throwIfStopped(order.signal)
    if (ended.some(({ status }) => status === 'rejected')) throw failedElsewhere.signal.reason
    const copiedMs = clock() - began
    const swept = await way.finish(order, mapping, progress)
    const failed = await target.query<{ count: number }>(
      'select count(*) as count from switchback.failed_rows where migration = $1',
      [mapping.migration],
    )
    return {
      divergences: 0,
      detail: {
        rows: copy.done.rows + run.counts.rows,
        changed: copy.done.changed + run.counts.changed,
        chunks: copy.done.chunks + run.counts.chunks,
        resumedAt: copy.done.rows,
        retries: run.counts.retries,
        failedRows: failed.rows[0]?.count ?? 0,
        retriedRows: retried,
        swept,
        copyMs: copiedMs,
        ms: clock() - began,
      },
    }
  } finally {
    progress.end()
  }
}

/** One worker: range after range, on a connection of its own, a new one where that broke. */
async function work(run: Run): Promise<void> {
  const { chunk } = run.mapping.copy
  let size = Math.max(chunk.min, Math.min(chunk.max, FIRST_CHUNK))
  let pending: OpenRange | undefined
  let failures = 0
  let failingSince: number | undefined
  const session = async (connection: Connection) => {
    await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    for (;;) {
      await whileHeldBack(run.order.heldBackBy, run.signal, (reason) => run.progress.throttledBy(reason))
      pending ??= run.open.pop() ?? (await run.copy.next(size))
      if (pending === undefined) return
      const range = pending
      const began = run.clock()
      const copied = await watched(
        run.target,
        connection.pid,
        (reason) => run.progress.throttledBy(reason),
        () => run.way.copyRange(connection, run.mapping, range, run.signal),
      ).catch((error: unknown) => {
        // The statement stood alone: the connection is as good as before.
        if (isDataError(error)) return error as Error
        throw error
      })
      if (copied instanceof Error) {
        await narrow(run, range, copied)
        pending = undefined
        continue
      }
      pending = undefined
      failures = 0
      failingSince = undefined
      // A worker of a run that is over may still be at it: whoever gets the lock later looks again.
      if (copied === undefined) {
        if (!(await isDone(run, range))) {
          run.open.unshift(range)
          await pause(50, run.signal)
        }
        continue
      }
      size = nextChunkSize(size, run.clock() - began, chunk)
      run.counts.rows += copied.rows
      run.counts.changed += copied.changed
      run.counts.chunks += 1
      run.progress.advance(copied.rows)
      await run.limit.take(copied.rows, run.signal)
    }
  }
  for (;;) {
    throwIfStopped(run.signal)
    try {
      await run.target.cancellable(run.signal, session)
      return
    } catch (error) {
      throwIfStopped(run.signal)
      const range = pending
      if (!isTransient(error)) throw error
      failures += 1
      run.counts.retries += 1
      failingSince ??= run.clock()
      if (run.clock() - failingSince > run.patienceMs) throw error
      if (range !== undefined && isContention(error) && failures % TRIES_BEFORE_SPLIT === 0) {
        // One row that is held for long must not keep its whole range from being copied.
        const halves = await splitRange(run.way, run.mapping, range).catch(() => undefined)
        if (halves !== undefined) {
          pending = halves[0]
          run.open.unshift(halves[1])
          size = Math.max(run.mapping.copy.chunk.min, Math.round(size / 2))
        }
      }
      await pause(backoff(failures, run.random), run.signal)
    }
  }
}

/** Splits a range whose rows are at fault down to the row, which is written down. */
async function narrow(run: Run, range: OpenRange, error: Error): Promise<void> {
  const halves = await splitRange(run.way, run.mapping, range)
  if (halves === undefined) {
    await recordFailedRow(run.target, run.mapping, range, error)
    run.counts.failed += 1
    stopIfTooMany(run, error)
    run.progress.advance(1)
    run.progress.detail({ failedRows: run.counts.failed })
    return
  }
  run.open.push(halves[1], halves[0])
}

/** Where row after row fails, a person should look before thousands more are tried one by one. */
function stopIfTooMany({ counts, copy, mapping }: Run, last: Error): void {
  const { stopAbove } = mapping.copy
  if (counts.failed <= Math.max(SPARED, stopAbove * copy.total)) return
  throw new ExecutionError(
    'too-many-failed-rows',
    `${counts.failed} rows cannot be copied, more than ${stopAbove * 100}% of ${copy.total} (copy.stopAbove). ` +
      `The last of them: ${last.message}`,
    { cause: last },
  )
}

async function isDone(run: Run, range: OpenRange): Promise<boolean> {
  const { rows } = await run.target.query<{ done: boolean }>(
    'select done from switchback.checkpoints where id = $1',
    [range.id],
  )
  return rows[0]?.done ?? true
}
