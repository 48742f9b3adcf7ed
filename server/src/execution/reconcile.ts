import { type Difference, differencesWithin, keyOfBoth, type Pair } from './compare.ts'
import { isDataError, messageOf } from './execution-error.ts'
import type { WorkOrder } from './execution-port.ts'
import { watched } from './in-the-way.ts'
import { countRows, type Key, keyText } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { type Patience, persistently } from './persistently.ts'
import type { Progress } from './progress.ts'
import { repairKeys } from './repair-keys.ts'
import type { ReverseMapping } from './reverse-mapping.ts'
import { waitForOlderSnapshots } from './snapshots.ts'
import type { Target } from './target.ts'
import { whileHeldBack } from './throttle.ts'

export interface ReconcileDeps extends Patience {
  readonly target: Target
}

export interface Reconciled {
  readonly compared: number
  readonly passes: number
  readonly repaired: number
  /** Differences of the last pass that were left. */
  readonly divergences: number
  /** The first ones that stood under their key's lock. */
  readonly mismatches: readonly { key: string; kind: Difference['kind']; columns: readonly string[] }[]
  /** Why keys could not be repaired, for the first of them. */
  readonly faults: readonly { key: string; error: string }[]
}

const CHUNK = 10_000
/** Keys repaired in one transaction: each is a lock in shared memory, and a writer that waits. */
const BATCH = 100
const MAX_PASSES = 5
const LISTED = 50
const LOCK_TIMEOUT_MS = 700

/**
 * Compares both tables, every row of either, and repairs from the leader what differs, until a whole pass is
 * clean. Returns what is left where that does not come about.
 */
export async function reconcile(
  deps: ReconcileDeps,
  order: WorkOrder,
  pair: Pair,
  progress: Progress,
): Promise<Reconciled> {
  const mismatches: Reconciled['mismatches'][number][] = []
  const faults: Reconciled['faults'][number][] = []
  let compared = 0
  let repaired = 0
  for (let pass = 1; ; pass++) {
    const result = await onePass(deps, order, pair, progress, pass)
    compared = result.compared
    repaired += result.standing.length - result.left.length
    for (const { key, kind, columns } of result.standing) {
      if (mismatches.length < LISTED) mismatches.push({ key: keyText(key), kind, columns })
    }
    for (const { key, error } of result.left) {
      if (faults.length < LISTED && !faults.some((fault) => fault.key === key)) faults.push({ key, error })
    }
    const repairedNow = result.standing.length > result.left.length
    if (!repairedNow || pass === MAX_PASSES) {
      // After the last pass what was just repaired is not proven: it counts as if it were left.
      const divergences = repairedNow ? result.standing.length : result.left.length
      return { compared, passes: pass, repaired, divergences, mismatches, faults }
    }
    // A delete with an older snapshot may have missed a row that was just repaired; the next pass must come after.
    progress.stage('waiting for older transactions')
    await waitForOlderSnapshots(deps.target, order.signal, (reason) => progress.throttledBy(reason))
  }
}

interface Pass {
  compared: number
  readonly standing: Difference[]
  readonly left: { key: string; error: string }[]
}

async function onePass(
  deps: ReconcileDeps,
  order: WorkOrder,
  pair: Pair,
  progress: Progress,
  pass: number,
): Promise<Pass> {
  const { target } = deps
  const { mapping } = pair
  const result: Pass = { compared: 0, standing: [], left: [] }
  progress.stage(
    pass === 1 ? 'comparing' : `comparing, pass ${pass}`,
    Math.max(await countRows(target, mapping.old), await countRows(target, mapping.new)),
  )
  let after: Key | undefined
  for (let ended = false; !ended; ) {
    await whileHeldBack(order.heldBackBy, order.signal, (reason) => progress.throttledBy(reason))
    const chunk = await persistently(deps, order.signal, () =>
      target.cancellable(order.signal, async (connection) => {
        const upTo = await keyOfBoth(connection, mapping, after, CHUNK)
        return { upTo, found: await differencesWithin(connection, pair, { after, upTo }) }
      }),
    )
    const keys = chunk.found.map(({ key }) => key)
    for (let i = 0; i < keys.length; i += BATCH) {
      await settle(deps, order, pair, progress, keys.slice(i, i + BATCH), result)
      progress.detail({ standing: result.standing.length, left: result.left.length })
    }
    result.compared += CHUNK
    progress.advance(CHUNK)
    ended = chunk.upTo === undefined
    after = chunk.upTo
  }
  result.compared = Math.max(await countRows(target, mapping.old), await countRows(target, mapping.new))
  return result
}

async function settle(
  deps: ReconcileDeps,
  order: WorkOrder,
  pair: Pair,
  progress: Progress,
  keys: readonly Key[],
  result: Pass,
): Promise<void> {
  try {
    const done = await persistently(deps, order.signal, () =>
      deps.target.cancellable(order.signal, async (connection) => {
        await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
        return watched(
          deps.target,
          connection.pid,
          (reason) => progress.throttledBy(reason),
          () => repairKeys(connection, pair, keys),
        )
      }),
    )
    result.standing.push(...done.standing)
    result.left.push(
      ...done.left.map(({ key, kind }) => ({ key: keyText(key), error: reasonOf(pair, kind) })),
    )
  } catch (error) {
    if (!isDataError(error)) throw error
    const [only] = keys
    if (keys.length === 1 && only !== undefined) {
      result.standing.push({ key: only, kind: 'differs', columns: [] })
      result.left.push({ key: keyText(only), error: messageOf(error) })
      return
    }
    // One row at fault must not keep the others from being repaired.
    for (const key of keys) await settle(deps, order, pair, progress, [key], result)
  }
}

/** Why a key still differs after its repair. */
export function reasonOf(
  pair: { readonly mapping: Pick<Mapping, 'from'>; readonly reverse?: ReverseMapping | undefined },
  kind: Difference['kind'],
): string {
  const { reverse } = pair
  if (reverse !== undefined && kind === 'missing' && reverse.uncovered.length > 0) {
    return `a row of ${pair.mapping.from.name} cannot be made without ${reverse.uncovered.join(', ')}`
  }
  if (reverse !== undefined && kind === 'extra' && reverse.stuck.length > 0) {
    const stuck = reverse.stuck.map(({ name }) => name)
    return `${stuck.join(', ')} of ${pair.mapping.from.name} cannot be emptied: not null, without a default`
  }
  return 'it differs again right after its repair: a trigger or the condition of the mapping stands against it'
}
