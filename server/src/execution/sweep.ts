import { sweepChunk } from './copy-chunk.ts'
import { isTransient, throwIfStopped } from './execution-error.ts'
import type { WorkOrder } from './execution-port.ts'
import { watched } from './in-the-way.ts'
import { countRows, type Key, keyAt } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { backoff, pause } from './pause.ts'
import type { Progress } from './progress.ts'
import { hashedSlices, JOIN_BY_HASH, sidesOf } from './slices.ts'
import type { Target } from './target.ts'
import { whileHeldBack } from './throttle.ts'

export interface SweepDeps {
  readonly target: Target
  readonly clock: () => number
  readonly random: () => number
  readonly patienceMs: number
}

const CHUNK = 20_000
/** Below PostgreSQL's deadlock timeout, so that the application is never the victim. */
const LOCK_TIMEOUT_MS = 700

/**
 * Removes from new what old does not have, chunk by chunk; returns how many rows went. To be called when
 * every snapshot older than the end of the copy is gone. Removing twice does no harm: it begins anew after
 * a crash.
 */
export async function sweep(
  deps: SweepDeps,
  order: WorkOrder,
  mapping: Mapping,
  progress: Progress,
): Promise<number> {
  progress.stage('sweeping', await countRows(deps.target, mapping.new))
  const slices = await hashedSlices(deps.target, mapping)
  const sides = await sidesOf(deps.target, mapping)
  let slice = 0
  let after: Key | undefined
  let swept = 0
  let failures = 0
  let failingSince: number | undefined
  for (;;) {
    await whileHeldBack(order.heldBackBy, order.signal, (reason) => progress.throttledBy(reason))
    try {
      const ended = await deps.target.cancellable(order.signal, async (connection) => {
        await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
        await connection.query(`set default_transaction_isolation = 'repeatable read'`)
        if (slices !== undefined) await connection.query(JOIN_BY_HASH)
        for (;;) {
          await whileHeldBack(order.heldBackBy, order.signal, (reason) => progress.throttledBy(reason))
          const hashed = slices?.[slice]
          const upTo =
            slices === undefined
              ? await keyAt(connection, mapping.new, { after, upTo: undefined }, CHUNK)
              : undefined
          swept += await watched(
            deps.target,
            connection.pid,
            (reason) => progress.throttledBy(reason),
            () => sweepChunk(connection, mapping, { after, upTo }, hashed && sides(hashed)),
          )
          failures = 0
          failingSince = undefined
          progress.advance(hashed?.rows ?? CHUNK)
          slice += 1
          if (slices === undefined ? upTo === undefined : slice >= slices.length) return true
          after = upTo
        }
      })
      if (ended) return swept
    } catch (error) {
      throwIfStopped(order.signal)
      // A serialization failure says that a row was written while we looked: it is looked at again.
      if (!isTransient(error)) throw error
      failures += 1
      failingSince ??= deps.clock()
      if (deps.clock() - failingSince > deps.patienceMs) throw error
      await pause(backoff(failures, deps.random, 10, 1_000), order.signal)
    }
  }
}
