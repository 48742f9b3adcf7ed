import type { MigrationDefinition } from '@switchback/migrations-registry'
import { repairKeys } from '../comparing/repair-keys.ts'
import { countFailedRows, isThere } from '../comparing/repairs.ts'
import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import type { Key } from '../mapping/keyset.ts'
import { describeMapping, type Mapping } from '../mapping/mapping.ts'
import { type Patience, persistently } from '../target/persistently.ts'
import { createProgress, type Progress } from '../target/progress.ts'
import { waitForOlderSnapshots } from '../target/snapshots.ts'
import type { Connection, Target } from '../target/target.ts'
import { together } from '../target/together.ts'
import { CopyOutdated } from '../walks/copy-outdated.ts'
import type { Copy } from './checkpoints.ts'
import { createChunkCopier } from './chunk-copier.ts'
import type { ChunkCopied, OpenRange } from './copy-chunk.ts'
import { createCopyReport } from './copy-report.ts'
import { type CopyRun, copyWorker } from './copy-worker.ts'
import { requireFewFailures, retryFailedRows } from './failed-rows.ts'
import { type Beginning, forgetCopy, joinCopy, openCopy } from './open-copy.ts'
import { atToldPace } from './paced-order.ts'
import { sweep } from './sweep.ts'
import { createRateLimit } from './throttle.ts'
import { limitsOf } from './throttle-signals.ts'
import { maySkipLocks } from './without-locks.ts'

export interface CopyDeps extends Patience {
  readonly target: Target
  readonly workers: number
  /** Of this process, for the progress of its workers. */
  readonly name: string
}

/** How history gets from old to new: inside of one database, or from one into the other. */
export interface CopyWay extends Beginning {
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
  finish(order: WorkOrder, mapping: Mapping, progress: Progress, total: number): Promise<number>
}

/** Both tables in one database. */
function inOneDatabase(deps: CopyDeps): CopyWay {
  const { target } = deps
  return {
    source: target,
    target,
    describe: (definition) => describeMapping(target, definition),
    copyRange: createChunkCopier(),
    withoutLocks: (mapping) => maySkipLocks(target, mapping),
    repair: (connection, mapping, keys) => repairKeys(connection, { mapping, leader: 'old' }, keys),
    finish: async (order, mapping, progress, total) => {
      progress.stage('waiting for older transactions')
      await waitForOlderSnapshots(target, order.signal, (reason) => progress.throttledBy(reason))
      return sweep(deps, order, mapping, progress, total)
    },
  }
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
  const progress = createProgress(order.report, clock)
  const report = createCopyReport(target, mapping.migration, progress, clock)
  let retries = 0
  let retried = 0
  let begunAnew = 0
  async function copyOnce(): Promise<{ readonly total: number; readonly resumedAt: number }> {
    const copy = await openCopy(way, mapping, order.epoch)
    progress.stage('copying', copy.total)
    const before = await report.look()
    retried += await retryFailedRows(deps, order, mapping, (connection, keys) =>
      way.repair(connection, mapping, keys),
    )
    const watching = report.watch()
    const copied = await copyDurably(deps, order, way, { mapping, copy, progress }).finally(watching.stop)
    retries += copied.retries
    await copy.requireSamePlaces()
    return { total: copy.total, resumedAt: before.rows }
  }
  /** Where rows have got other places, ranges of places say nothing any more. */
  async function copyToTheEnd(): ReturnType<typeof copyOnce> {
    for (;;) {
      try {
        return await copyOnce()
      } catch (error) {
        if (!(error instanceof CopyOutdated)) throw error
        begunAnew += 1
        progress.detail({ begunAnew: error.message })
        await forgetCopy(way, mapping.migration)
      }
    }
  }
  try {
    const { total, resumedAt } = await copyToTheEnd()
    await requireFewFailures(target, mapping, total)
    const { rows, changed, chunks, workers } = await report.look()
    const copyMs = clock() - began
    const swept = await way.finish(order, mapping, progress, total)
    return {
      divergences: 0,
      detail: {
        rows,
        changed,
        chunks,
        workers: workers.length,
        resumedAt,
        retries,
        ...(begunAnew === 0 ? {} : { begunAnew }),
        failedRows: await countFailedRows(target, mapping.migration),
        retriedRows: retried,
        swept,
        copyMs,
        ms: clock() - began,
      },
    }
  } finally {
    progress.end()
  }
}

/**
 * Copies ranges of a backfill that another process leads, as long as it hands some out; false where there was
 * nothing to do. It needs no lock: a range belongs to whoever holds the row of its checkpoint.
 */
export async function assist(
  deps: CopyDeps,
  order: WorkOrder,
  way: CopyWay = inOneDatabase(deps),
): Promise<boolean> {
  // A limit of rows in a second is one process's to keep.
  const limited = () => limitsOf(order).rowsPerSecond !== undefined
  if (limited() || order.definition.copy === undefined) return false
  if (!(await isThere(deps.target, 'switchback.copies'))) return false
  const mapping = await way.describe(order.definition)
  const copy = await joinCopy(way, mapping, order.epoch)
  if (copy === undefined) return false
  const stop = new AbortController()
  const told = atToldPace(deps, order)
  const timer = setInterval(() => {
    if (limited()) stop.abort()
    // Somebody has to take the lead, and it may be us.
    told.isLed().then(
      (led) => led || stop.abort(),
      () => undefined,
    )
  }, 1_000)
  const progress = createProgress(() => undefined, deps.clock)
  try {
    const signal = AbortSignal.any([order.signal, stop.signal])
    const { ranges } = await copyAll(deps, { ...told.order, signal }, way, {
      mapping,
      copy,
      progress,
      toTheEnd: false,
    })
    return ranges > 0
  } catch (error) {
    if (stop.signal.aborted && !order.signal.aborted) return true
    // Whoever leads begins anew.
    if (error instanceof CopyOutdated) return true
    throw error
  } finally {
    clearInterval(timer)
    progress.end()
  }
}

/**
 * Copies until every range is done and on disk. Where rows were copied without locks, what was written meanwhile
 * is looked at again when every transaction is gone that may have missed a row of new.
 */
async function copyDurably(
  deps: CopyDeps,
  order: WorkOrder,
  way: CopyWay,
  shared: Pick<CopyRun, 'mapping' | 'progress'> & { readonly copy: Copy },
): Promise<{ readonly retries: number }> {
  const { copy, progress } = shared
  let retries = 0
  for (;;) {
    const copied = await copyAll(deps, order, way, { ...shared, toTheEnd: true })
    retries += copied.retries
    const left = await persistently(deps, order.signal, () => copy.settle())
    if (left === 'nothing') return { retries }
    if (left === 'ranges') continue
    progress.stage('waiting for older transactions')
    await persistently(deps, order.signal, () =>
      waitForOlderSnapshots(way.target, order.signal, (reason) => progress.throttledBy(reason)),
    )
    progress.stage('looking again at what was written meanwhile')
    await persistently(deps, order.signal, () => copy.lookAgain())
  }
}

/** Runs the workers of this process until no range is left for them. */
async function copyAll(
  deps: CopyDeps,
  order: WorkOrder,
  way: CopyWay,
  shared: Pick<CopyRun, 'mapping' | 'progress' | 'toTheEnd'> & { readonly copy: Copy },
): Promise<{ readonly retries: number; readonly ranges: number }> {
  let ranges = 0
  const counts = { retries: 0 }
  const open: OpenRange[] = []
  const limit = createRateLimit(order, deps.clock, {
    workers: deps.workers,
    rowsPerSecond: () => limitsOf(order).rowsPerSecond,
  })
  await together(order.signal, deps.workers, (signal, place) => {
    const run: CopyRun = {
      ...deps,
      ...shared,
      order,
      places: way,
      copyRange: async (connection, range) => {
        const copied = await way.copyRange(connection, shared.mapping, range, signal)
        if (copied !== undefined) ranges += 1
        return copied
      },
      ...{ limit, open, counts, signal },
    }
    return copyWorker(run, `${deps.name}/${place}`)
  })
  return { retries: counts.retries, ranges }
}
