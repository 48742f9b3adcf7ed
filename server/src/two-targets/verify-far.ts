import type { Path } from '@switchback/migrations-registry'
import type { Difference } from '../comparing/compare.ts'
import { reasonOf } from '../comparing/reconcile.ts'
import { whileHeldBack } from '../copying/throttle.ts'
import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { countRows, type Key, keyAt, keyText } from '../mapping/keyset.ts'
import { isDataError, messageOf } from '../target/execution-error.ts'
import { type Patience, persistently } from '../target/persistently.ts'
import { createProgress, type Progress } from '../target/progress.ts'
import { onBoth, underLocks } from './both.ts'
import { farDifferencesWithin } from './compare-far.ts'
import { describeFarMapping, type FarPair, farPair, type Targets } from './pair.ts'
import { settleKeys } from './repair-far.ts'

const CHUNK = 10_000
/** Keys repaired in one transaction: each is a lock in shared memory, and a writer that waits. */
const BATCH = 100
const MAX_PASSES = 5
const LISTED = 50

interface Run extends Patience {
  readonly targets: Targets
  readonly order: WorkOrder
  readonly pair: FarPair
  readonly progress: Progress
}

interface Pass {
  readonly standing: Difference[]
  readonly left: { readonly key: string; readonly error: string }[]
}

async function settle(run: Run, keys: readonly Key[], pass: Pass): Promise<void> {
  const { targets, order, pair } = run
  try {
    const { standing, left } = await persistently(run, order.signal, () =>
      onBoth(targets, order.signal, (on) => underLocks(on, pair, keys, () => settleKeys(on, pair, keys))),
    )
    pass.standing.push(...standing)
    pass.left.push(...left.map(({ key, kind }) => ({ key: keyText(key), error: reasonOf(pair, kind) })))
  } catch (error) {
    if (!isDataError(error)) throw error
    const [only] = keys
    if (keys.length === 1 && only !== undefined) {
      pass.standing.push({ key: only, kind: 'differs', columns: [] })
      pass.left.push({ key: keyText(only), error: messageOf(error) })
      return
    }
    // One row at fault must not keep the others from being repaired.
    for (const key of keys) await settle(run, [key], pass)
  }
}

async function onePass(run: Run): Promise<Pass> {
  const { targets, order, pair, progress } = run
  const pass: Pass = { standing: [], left: [] }
  let after: Key | undefined
  for (let ended = false; !ended; ) {
    await whileHeldBack(order.heldBackBy, order.signal, (reason) => progress.throttledBy(reason))
    const chunk = await persistently(run, order.signal, () =>
      onBoth(targets, order.signal, async (on) => {
        const upTo =
          (await keyAt(on.old, pair.old, { after, upTo: undefined }, CHUNK)) ??
          (await keyAt(on.new, pair.new, { after, upTo: undefined }, CHUNK))
        return { upTo, found: await farDifferencesWithin(on, pair, { after, upTo }) }
      }),
    )
    const keys = chunk.found.map(({ key }) => key)
    for (let i = 0; i < keys.length; i += BATCH) {
      await settle(run, keys.slice(i, i + BATCH), pass)
      progress.detail({ standing: pass.standing.length, left: pass.left.length })
    }
    progress.advance(CHUNK)
    ended = chunk.upTo === undefined
    after = chunk.upTo
  }
  return pass
}

/**
 * Compares both tables across the databases by checksums, repairs from the leader what stands under the locks
 * of its key, until a whole pass is clean. For the way there and, led by new, for the way back.
 */
export async function reconcileFar(
  targets: Targets,
  patience: Patience,
  order: WorkOrder,
  leader: Path,
): Promise<WorkOutcome> {
  const began = patience.clock()
  const mapping = await describeFarMapping(targets, order.definition)
  const pair = await farPair(targets, mapping, leader)
  const progress = createProgress(order.report, patience.clock)
  const run: Run = { ...patience, targets, order, pair, progress }
  const mismatches: { key: string; kind: Difference['kind'] }[] = []
  const faults: Pass['left'] = []
  const rows = async (): Promise<number> =>
    Math.max(await countRows(targets.old, pair.old), await countRows(targets.new, pair.new))
  let repaired = 0
  try {
    for (let passes = 1; ; passes++) {
      progress.stage(passes === 1 ? 'comparing' : `comparing, pass ${passes}`, await rows())
      const { standing, left } = await onePass(run)
      repaired += standing.length - left.length
      for (const { key, kind } of standing) {
        if (mismatches.length < LISTED) mismatches.push({ key: keyText(key), kind })
      }
      for (const fault of left) {
        if (faults.length < LISTED && !faults.some(({ key }) => key === fault.key)) faults.push(fault)
      }
      const repairedNow = standing.length > left.length
      if (repairedNow && passes < MAX_PASSES) continue
      return {
        // After the last pass what was just repaired is not proven: it counts as if it were left.
        divergences: repairedNow ? standing.length : left.length,
        compared: {
          rows: await rows(),
          differing: repaired + left.length,
          left: repairedNow ? standing.length : left.length,
        },
        detail: {
          method: 'checksums by chunks of keys, halved down to the rows that differ',
          compared: await rows(),
          passes,
          repaired,
          mismatches,
          faults,
          ms: patience.clock() - began,
        },
      }
    }
  } finally {
    progress.end()
  }
}
