import type { WorkOrder } from '../execution/execution-port.ts'
import { type Key, keyAt, type Range } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { watched } from '../target/in-the-way.ts'
import { type Patience, persistently } from '../target/persistently.ts'
import type { Progress } from '../target/progress.ts'
import type { Connection, Target } from '../target/target.ts'
import { together } from '../target/together.ts'
import { hashedSlices, JOIN_BY_HASH, JOIN_BY_INDEX, type Sides, sidesOf } from '../walks/slices.ts'
import { hasStray, sweepChunk } from './copy-chunk.ts'
import type { Rests } from './rests.ts'
import { createRateLimit, LOOKED_PER_ROW, type RateLimit, whileHeldBack } from './throttle.ts'

export interface SweepDeps extends Patience {
  readonly target: Target
  readonly workers: number
}

/** Rows of old that are looked at in one statement. */
const PIECE = 50_000
/** Rows of new that are removed in one transaction, at most. */
const CHUNK = 20_000
/** Below PostgreSQL's deadlock timeout, so that the application is never the victim. */
const LOCK_TIMEOUT_MS = 700

/** Keys of both tables that are looked at in one statement: a range of them, or a slice. */
interface Piece {
  readonly range: Range
  readonly rows: number
  /** Of a slice, where no index gives the order of the keys: it is read whole and joined by hash. */
  readonly sides?: Sides
}

/**
 * Removes from new what old does not have, piece by piece; returns how many rows went. To be called when
 * every snapshot older than the end of the copy is gone: from then on whoever deletes sees both rows, so that no
 * row is left behind any more, and what one snapshot finds nothing of stays so. A piece is therefore only looked
 * at, and swept where something was found. Removing twice does no harm: it begins anew after a crash.
 */
export async function sweep(
  deps: SweepDeps,
  order: WorkOrder,
  mapping: Mapping,
  progress: Progress,
  total: number,
): Promise<number> {
  progress.stage('sweeping', total)
  const limit = createRateLimit(order, deps.clock, { perRow: LOOKED_PER_ROW, workers: deps.workers })
  const next = await piecesOf(deps, order, mapping, limit)
  let swept = 0
  await together(order.signal, deps.workers, async (signal) => {
    for (let coming = next(); ; ) {
      const piece = await coming
      if (piece === undefined) return
      // The next one is looked up meanwhile; whoever asks for it hears of a failure.
      coming = next()
      coming.catch(() => undefined)
      await whileHeldBack(order.heldBackBy, signal, (reason) => progress.throttledBy(reason ?? limit.because))
      await persistently(deps, signal, () =>
        deps.target.cancellable(signal, async (connection) => {
          await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
          await connection.query(`set default_transaction_isolation = 'repeatable read'`)
          await connection.query(piece.sides === undefined ? JOIN_BY_INDEX : JOIN_BY_HASH)
          await watched(
            deps.target,
            connection.pid,
            (reason) => progress.throttledBy(reason),
            () =>
              sweepPiece(connection, mapping, { ...piece, rests: limit.rests() }, (rows) => {
                swept += rows
              }),
          )
        }),
      )
      progress.advance(piece.rows)
      await limit.take(piece.rows, signal)
    }
  })
  return swept
}

/** Hands out what covers both tables; undefined where all has been handed out. */
async function piecesOf(
  deps: SweepDeps,
  order: WorkOrder,
  mapping: Mapping,
  limit: RateLimit,
): Promise<() => Promise<Piece | undefined>> {
  const slices = await hashedSlices({ old: deps.target, new: deps.target }, mapping)
  if (slices === undefined) return createRanges(deps, order, mapping, limit)
  const sides = await sidesOf(deps.target, mapping)
  const everything = { after: undefined, upTo: undefined }
  const pieces = slices.map((slice) => ({ range: everything, rows: slice.rows, sides: sides(slice) }))
  return async () => pieces.shift()
}

/** Ranges of keys, one after the other, the last one without an end. */
function createRanges(
  deps: SweepDeps,
  order: WorkOrder,
  { old }: Mapping,
  limit: RateLimit,
): () => Promise<Piece | undefined> {
  let after: Key | undefined
  let ended = false
  let turn: Promise<unknown> = Promise.resolve()
  const look = async (): Promise<Piece | undefined> => {
    if (ended) return undefined
    const rest = { after, upTo: undefined }
    const rows = Math.min(PIECE, (limit.most() ?? PIECE) * LOOKED_PER_ROW)
    const upTo = await persistently(deps, order.signal, () => keyAt(deps.target, old, rest, rows))
    const range = { after, upTo }
    ended = upTo === undefined
    after = upTo
    return { range, rows }
  }
  return () => {
    const mine = turn.then(look)
    turn = mine.catch(() => undefined)
    return mine
  }
}

/** A serialization failure says that a row was written while we looked: the piece is looked at again. */
async function sweepPiece(
  connection: Connection,
  mapping: Mapping,
  { range, sides, rests }: Piece & { readonly rests: Rests | undefined },
  removed: (rows: number) => void,
): Promise<void> {
  // A slice is read whole, so that looking first would read it twice.
  if (sides !== undefined) {
    removed(await sweepChunk(connection, mapping, range, sides))
    return
  }
  if (!(await hasStray(connection, mapping, range, rests))) return
  for (let { after } = range; ; ) {
    const upTo = (await keyAt(connection, mapping.new, { after, upTo: range.upTo }, CHUNK)) ?? range.upTo
    removed(await sweepChunk(connection, mapping, { after, upTo }))
    if (upTo === range.upTo) return
    after = upTo
  }
}
