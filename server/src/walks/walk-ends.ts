import { type Key, keyAt, lastKey, type Range, type Side, within } from '../mapping/keyset.ts'
import type { Sql } from '../target/target.ts'
import { afterBlocks, beforeBlock } from './blocks.ts'
import type { Part } from './walk.ts'
import { LAST_HASH, nextHash } from './written-since.ts'

/** Each slice by hash reads the whole table. */
const MOST_SLICES = 64

/** The greatest place of a part that is to be handed out; undefined where it has no rows. */
export async function upperOf(on: Sql, side: Side, { blocks, since }: Part): Promise<Key | undefined> {
  if (since !== undefined) return LAST_HASH
  if (blocks === undefined) return lastKey(on, side)
  return blocks.count === 0 ? undefined : beforeBlock(blocks.count)
}

/** Where the next range of about `size` rows of a part ends; undefined where no more are left. */
export type Ends = (place: number, part: Part, range: Range, size: number) => Promise<Key | undefined>

/** @param most rows in one statement, of those that are had by the hash of their keys */
export function endsOf(on: Sql, sideAt: (place: number) => Side, most: number): Ends {
  let slices: Promise<number> | undefined
  return async (place, part, range, size) => {
    const side = sideAt(place)
    if (part.blocks !== undefined) return afterBlocks(part, range.after, size)
    if (part.since === undefined) return keyAt(on, side, range, size)
    slices ??= countSlices(on, side, most)
    return nextHash(range.after, await slices)
  }
}

/** In how many statements rows are copied that are had by the hash of their keys. */
async function countSlices(on: Sql, side: Side, most: number): Promise<number> {
  const { rows } = await on.query<{ count: number }>(
    `select count(*) as count from ${side.table} where ${within(side, {})}`,
  )
  return Math.min(MOST_SLICES, Math.max(1, Math.ceil((rows[0]?.count ?? 0) / most)))
}
