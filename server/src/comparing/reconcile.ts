import { createHash } from 'node:crypto'
import { createRateLimit, type RateLimit, whileHeldBack } from '../copying/throttle.ts'
import type { WorkOrder } from '../execution/execution-port.ts'
import { type Key, keyText } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { ReverseMapping } from '../mapping/reverse-mapping.ts'
import type { RangesProgress } from '../phases/phase-service.ts'
import { isDataError, messageOf } from '../target/execution-error.ts'
import { watched } from '../target/in-the-way.ts'
import { type Patience, persistently } from '../target/persistently.ts'
import type { Progress } from '../target/progress.ts'
import { waitForOlderSnapshots } from '../target/snapshots.ts'
import type { Target } from '../target/target.ts'
import type { Slice } from '../walks/slices.ts'
import type { Difference } from './compare.ts'
import type { Comparing } from './comparing.ts'
import {
  addToDigest,
  createPassRecord,
  firstPass,
  type KeptRange,
  type PassRecord,
  type PassState,
} from './pass-record.ts'

export interface ReconcileDeps extends Patience {
  readonly target: Target
}

export interface Reconciled {
  readonly method: string
  /** Rows of the larger table, and of both at one moment. */
  readonly compared: number
  readonly rows: { readonly old: number; readonly new?: number }
  readonly chunks: number
  readonly passes: number
  readonly repaired: number
  /** Differences of the last pass that were left. */
  readonly divergences: number
  /** Keys that differed under their lock: those repaired, and those left. */
  readonly differing: number
  /** The first look: keys drawn by this seed, and how many of them differed. */
  readonly sample: Sample | undefined
  readonly digest: string
  readonly mismatches: PassState['mismatches']
  readonly faults: PassState['faults']
}

interface Sample {
  readonly seed: number
  readonly keys: number
  readonly differing: number
}

const CHUNK = 10_000
/** So many that are compared cost an application as much as one that is copied. */
const PER_ROW = 3
/** Keys repaired in one transaction: each is a lock in shared memory, and a writer that waits. */
const BATCH = 100
const MAX_PASSES = 5
const LISTED = 50
const LOCK_TIMEOUT_MS = 700
/** How much is compared again after a crash, at most; what was repaired is written down before. */
const SAVE_EVERY_MS = 1_000

/**
 * Compares both tables, every row of either, and repairs from the leader what differs, until every range was
 * clean when it was looked at last. Returns what is left where that does not come about. Goes on where a
 * crash has ended it.
 *
 * A pass looks again only where the one before has repaired: everybody writes both paths, so a range that
 * was equal in one snapshot stays equal.
 */
export async function reconcile(
  deps: ReconcileDeps,
  order: WorkOrder,
  way: Comparing,
  progress: Progress,
): Promise<Reconciled> {
  const { mapping, leader } = way
  const record = createPassRecord(deps.target, {
    ...{ migration: mapping.migration, leader, epoch: order.epoch },
    mapping: checksumOf(mapping.copy),
  })
  const limit = createRateLimit(order, deps.clock, { perRow: PER_ROW })
  const kept = await record.read()
  const sample = kept === undefined ? await firstLook(deps, order, way, progress) : undefined
  const estimated = await countBoth(deps, order, way)
  let state = kept ?? firstPass(await way.slices())
  for (;;) {
    const { pass } = state
    progress.stage(
      pass === 1 ? 'comparing' : `comparing, pass ${pass}`,
      pass === 1 ? Math.max(estimated.old, estimated.new ?? 0) : state.ranges.length * CHUNK,
    )
    progress.advance(pass === 1 ? (state.rows ?? state.chunks * CHUNK) : 0)
    progress.ranges(rangesOf(state))
    if (sample !== undefined) progress.detail({ sample })
    state = await onePass({ deps, order, way, progress, record, limit }, state)
    const repairedNow = state.standing > state.left
    if (!repairedNow || pass === MAX_PASSES) {
      const rows = await countBoth(deps, order, way)
      await record.forget()
      return {
        ...{
          method: way.method(state.slices ?? []),
          compared: Math.max(rows.old, rows.new ?? 0),
          rows,
          chunks: state.chunks,
          passes: pass,
        },
        repaired: state.repaired,
        // After the last pass what was just repaired is not proven: it counts as if it were left.
        divergences: repairedNow ? state.standing : state.left,
        differing: state.repaired + state.left,
        ...{ sample, digest: state.digest, mismatches: state.mismatches, faults: state.faults },
      }
    }
    if (way.readCommitted !== true) {
      // A delete with an older snapshot may have missed a row that was just repaired; the next pass must come after.
      progress.stage('waiting for older transactions')
      await waitForOlderSnapshots(deps.target, order.signal, (reason) => progress.throttledBy(reason))
    }
    state = { ...state, pass: pass + 1, ranges: state.dirty, dirty: [], standing: 0, left: 0 }
    await record.write(state)
  }
}

/** A sample tells at once where much is wrong; it proves nothing, and what differs is repaired by the passes. */
async function firstLook(
  deps: ReconcileDeps,
  order: WorkOrder,
  way: Comparing,
  progress: Progress,
): Promise<Sample> {
  progress.stage('first look')
  const seed = Number.parseInt(checksumOf([way.mapping.migration, order.epoch]).slice(0, 6), 16)
  const found = await persistently(deps, order.signal, () =>
    deps.target.cancellable(order.signal, (connection) => way.sample(connection, seed)),
  )
  return { seed, ...found }
}

const countBoth = (deps: ReconcileDeps, order: WorkOrder, way: Comparing): Promise<Reconciled['rows']> =>
  persistently(deps, order.signal, () =>
    deps.target.cancellable(order.signal, (connection) => way.count(connection)),
  )

interface Run {
  readonly deps: ReconcileDeps
  readonly order: WorkOrder
  readonly way: Comparing
  readonly progress: Progress
  readonly record: PassRecord
  readonly limit: RateLimit
}

interface Settled {
  readonly standing: Difference[]
  readonly left: { key: string; error: string }[]
}

const WHOLE: Slice = { name: '', rows: 0 }

const sliceOf = ({ slices }: PassState, { slice = 0 }: KeptRange): Slice => slices?.[slice] ?? WHOLE

/** How far the pass is, slice by slice; nothing where there is but one. */
function rangesOf({ slices = [], ranges }: PassState): RangesProgress | undefined {
  if (slices.length < 2) return undefined
  const open = new Set(ranges.map(({ slice = 0 }) => slice))
  const [next] = ranges
  const now = next === undefined ? undefined : slices[next.slice ?? 0]
  return {
    all: slices.length,
    done: slices.length - open.size,
    active: now === undefined ? [] : [{ name: now.name, total: now.rows }],
  }
}

async function onePass(run: Run, from: PassState): Promise<PassState> {
  const { deps, order, way, progress, record, limit } = run
  const { target, clock } = deps
  let state = from
  let saved = clock()
  for (;;) {
    const [first, ...rest] = state.ranges
    if (first === undefined) return state
    await whileHeldBack(order.heldBackBy, order.signal, (reason) =>
      progress.throttledBy(reason ?? limit.because),
    )
    const slice = sliceOf(state, first)
    // What a pass looks at again is a chunk already; the rest is cut into chunks on the way.
    const range = { after: first.after, upTo: first.upTo }
    const { found, upTo, rows } = await persistently(deps, order.signal, () =>
      target.cancellable(order.signal, (connection) =>
        way.compare(connection, slice, range, Math.min(CHUNK, limit.most() ?? CHUNK)),
      ),
    )
    const chunk = { ...first, ...(upTo === undefined ? {} : { upTo }) }
    const settled: Settled = { standing: [], left: [] }
    if (found.length > 0) {
      // Written down first: after a crash in the middle of the repair the next pass still looks here again.
      await record.write({ ...state, dirty: [...state.dirty, chunk], standing: state.standing + 1 })
      const keys = found.map(({ key }) => key)
      for (let i = 0; i < keys.length; i += BATCH) {
        await settle(deps, order, way, progress, keys.slice(i, i + BATCH), settled)
        progress.detail({
          standing: state.standing + settled.standing.length,
          left: state.left + settled.left.length,
        })
      }
    }
    const ended = chunk.upTo === undefined || first.upTo !== undefined
    state = after(
      state,
      chunk,
      ended
        ? rest
        : [{ ...(first.slice === undefined ? {} : { slice: first.slice }), after: upTo as Key }, ...rest],
      { ...settled, rows },
    )
    progress.advance(rows)
    progress.ranges(rangesOf(state))
    if (found.length > 0 || clock() - saved > SAVE_EVERY_MS) {
      await record.write(state)
      saved = clock()
    }
    await limit.take(rows, order.signal)
  }
}

function after(
  state: PassState,
  chunk: KeptRange,
  ranges: readonly KeptRange[],
  { standing, left, rows }: Settled & { readonly rows: number },
): PassState {
  const mismatches = standing.map(({ key, ...difference }) => ({ key: keyText(key), ...difference }))
  const faults = left.filter(({ key }) => !state.faults.some((fault) => fault.key === key))
  return {
    ...(state.slices === undefined ? {} : { slices: state.slices }),
    pass: state.pass,
    ranges,
    dirty: standing.length === 0 ? state.dirty : [...state.dirty, chunk],
    chunks: state.chunks + 1,
    rows: (state.rows ?? 0) + rows,
    repaired: state.repaired + standing.length - left.length,
    standing: state.standing + standing.length,
    left: state.left + left.length,
    digest: addToDigest(state.digest, chunk, standing.length),
    mismatches: [...state.mismatches, ...mismatches].slice(0, LISTED),
    faults: [...state.faults, ...faults].slice(0, LISTED),
  }
}

async function settle(
  deps: ReconcileDeps,
  order: WorkOrder,
  way: Comparing,
  progress: Progress,
  keys: readonly Key[],
  result: Settled,
): Promise<void> {
  try {
    const done = await persistently(deps, order.signal, () =>
      deps.target.cancellable(order.signal, async (connection) => {
        await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
        return watched(
          deps.target,
          connection.pid,
          (reason) => progress.throttledBy(reason),
          () => way.repair(connection, keys),
        )
      }),
    )
    result.standing.push(...done.standing)
    result.left.push(...done.left.map(({ key, kind }) => ({ key: keyText(key), error: reasonOf(way, kind) })))
  } catch (error) {
    if (!isDataError(error)) throw error
    const [only] = keys
    if (keys.length === 1 && only !== undefined) {
      result.standing.push({ key: only, kind: 'differs', columns: [] })
      result.left.push({ key: keyText(only), error: messageOf(error) })
      return
    }
    // One row at fault must not keep the others from being repaired.
    for (const key of keys) await settle(deps, order, way, progress, [key], result)
  }
}

const checksumOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex')

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
