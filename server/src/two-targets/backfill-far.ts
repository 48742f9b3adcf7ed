import type { CopyWay } from '../copying/backfill.ts'
import type { ChunkCopied, OpenRange } from '../copying/copy-chunk.ts'
import { rangeParams, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { type Connection, inTransaction, type Target } from '../target/target.ts'
import { LOCK_TIMEOUT_MS, READ_COMMITTED, underLocks } from './both.ts'
import { readOld, writeNew } from './copy-far.ts'
import { describeFarMapping, farPair, type Targets } from './pair.ts'
import { settleKeys } from './repair-far.ts'

/**
 * Copies one range out of old's database into new's. The rows of old are locked until new has committed with
 * the checkpoint: a writer in between waits for them, and a writer before was waited for. Row of old before
 * row of new, as in dual operations, so that nobody waits in a circle.
 */
async function copyRange(
  source: Target,
  on: Connection,
  mapping: Mapping,
  range: OpenRange,
  signal: AbortSignal,
): Promise<ChunkCopied | undefined> {
  const { numbers, values } = rangeParams(range)
  return source.cancellable(signal, async (old) => {
    await old.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    return inTransaction(old, READ_COMMITTED, () =>
      inTransaction(on, READ_COMMITTED, async () => {
        const claimed = await on.query(
          `select from switchback.checkpoints where id = $1 and not done and up_to_key = $2
             and after_key is not distinct from $3::text[]
           for update skip locked`,
          [range.id, range.upTo, range.after ?? null],
        )
        if (claimed.rows.length === 0) return undefined
        const texts = await readOld(old, mapping, within(range.side, numbers), values, range.side)
        const changed = await writeNew(on, mapping, texts)
        const rows = range.again ? changed : (texts[0]?.length ?? 0)
        await on.query(
          `update switchback.checkpoints set done = true, rows = $2, changed = $3,
             ms = extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000 where id = $1`,
          [range.id, rows, changed],
        )
        return { rows, changed }
      }),
    )
  })
}

/**
 * Copies history from one database into the other. Nothing is swept: rows that only new has are found by
 * verification, which removes them under the locks of their keys. Older snapshots need no wait either, since
 * every routed write of this mode is at READ COMMITTED.
 */
export const farWay = (targets: Targets): CopyWay => ({
  source: targets.old,
  target: targets.new,
  describe: (definition) => describeFarMapping(targets, definition),
  copyRange: (on, mapping, range, signal) => copyRange(targets.old, on, mapping, range, signal),
  repair: async (on, mapping, keys) => {
    const pair = await farPair(targets, mapping, 'old')
    return targets.old.connection((old) => {
      const both = { old, new: on }
      return underLocks(both, pair, keys, () => settleKeys(both, pair, keys))
    })
  },
  finish: async () => 0,
})
