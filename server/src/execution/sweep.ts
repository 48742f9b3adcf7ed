import { hasStray, sweepChunk } from './copy-chunk.ts'
import type { WorkOrder } from './execution-port.ts'
import { watched } from './in-the-way.ts'
import { type Key, keyAt, type Range } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { type Patience, persistently } from './persistently.ts'
import type { Progress } from './progress.ts'
import type { Connection, Target } from './target.ts'
import { whileHeldBack } from './throttle.ts'
import { together } from './together.ts'

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
  const next = createPieces(deps, order, mapping)
  let swept = 0
  await together(order.signal, deps.workers, async (signal) => {
    for (let coming = next(); ; ) {
      const piece = await coming
      if (piece === undefined) return
      // Where there are more, the next one is looked up meanwhile.
      if (piece.upTo !== undefined) {
        coming = next()
        // Whoever asks for it hears of a failure.
        coming.catch(() => undefined)
      }
      await whileHeldBack(order.heldBackBy, signal, (reason) => progress.throttledBy(reason))
      await persistently(deps, signal, () =>
        deps.target.cancellable(signal, async (connection) => {
          await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
          await connection.query(`set default_transaction_isolation = 'repeatable read'`)
          await watched(
            deps.target,
            connection.pid,
            (reason) => progress.throttledBy(reason),
            () =>
              sweepPiece(connection, mapping, piece, (rows) => {
                swept += rows
              }),
          )
        }),
      )
      progress.advance(PIECE)
      if (piece.upTo === undefined) return
    }
  })
  return swept
}

/** Hands out ranges of keys that cover both tables, the last one without an end. */
function createPieces(deps: SweepDeps, order: WorkOrder, { old }: Mapping): () => Promise<Range | undefined> {
  let after: Key | undefined
  let ended = false
  let turn: Promise<unknown> = Promise.resolve()
  const look = async (): Promise<Range | undefined> => {
    if (ended) return undefined
    const range = { after, upTo: undefined }
    const upTo = await persistently(deps, order.signal, () => keyAt(deps.target, old, range, PIECE))
    const piece = { after, upTo }
    ended = upTo === undefined
    after = upTo
    return piece
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
  piece: Range,
  removed: (rows: number) => void,
): Promise<void> {
  if (!(await hasStray(connection, mapping, piece))) return
  for (let { after } = piece; ; ) {
    const upTo = (await keyAt(connection, mapping.new, { after, upTo: piece.upTo }, CHUNK)) ?? piece.upTo
    removed(await sweepChunk(connection, mapping, { after, upTo }))
    if (upTo === piece.upTo) return
    after = upTo
  }
}
