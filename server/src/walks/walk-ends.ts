import { type Key, keyAt, lastKey, type Range, type Side, within } from '../mapping/keyset.ts'
import type { Sql } from '../target/target.ts'
import { afterBlocks, beforeBlock } from './blocks.ts'
import type { Part } from './walk.ts'
import { LAST_HASH, nextHash } from './written-since.ts'

/** Each slice by hash reads the whole table. */
const MOST_SLICES = 64
/** So many rows are had at once, where the next ones in the order of their keys are looked for among all others. */
const FEW = 2_000

/** The greatest place of a part that is to be handed out; undefined where it has no rows. */
export async function upperOf(
  on: Sql,
  side: Side,
  { blocks, since, inKeyOrder }: Part,
): Promise<Key | undefined> {
  if (since !== undefined && inKeyOrder !== true) return LAST_HASH
  if (blocks === undefined) return lastKey(on, side)
  return blocks.count === 0 ? undefined : beforeBlock(blocks.count)
}

/** Where ranges end. */
export interface Ends {
  /**
   * That of the next range of about `size` rows of a part; undefined where no more are left. Of a part of which most
   * rows do not count, where they are had in the order of their keys: of `looked` rows, where that is said.
   */
  endOf(
    place: number,
    part: Part,
    range: Range,
    size: number,
    looked?: { readonly at: Side; readonly rows: number },
  ): Promise<Key | undefined>
  /** How many rows were written since: looked up once. Not counted any further than it matters. */
  young(place: number, part: Part): Promise<number>
}

/** @param most rows in one statement, of those that are had by the hash of their keys */
export function endsOf(on: Sql, sideAt: (place: number) => Side, most: number): Ends {
  let counted: Promise<number> | undefined
  const young: Ends['young'] = (place, { inKeyOrder }) => {
    counted ??= countUpTo(on, sideAt(place), inKeyOrder ? FEW + 1 : most * MOST_SLICES)
    // Whoever asks next looks again.
    counted.catch(() => {
      counted = undefined
    })
    return counted
  }
  return {
    young,
    endOf: async (place, part, range, size, looked) => {
      const side = sideAt(place)
      if (part.blocks !== undefined) return afterBlocks(part, range.after, size)
      if (part.since === undefined) return keyAt(on, side, range, size)
      if (part.inKeyOrder && looked !== undefined) return keyAt(on, looked.at, range, looked.rows)
      const rows = await young(place, part)
      if (part.inKeyOrder) return rows <= FEW ? undefined : keyAt(on, side, range, size)
      return nextHash(range.after, Math.min(MOST_SLICES, Math.max(1, Math.ceil(rows / most))))
    },
  }
}

async function countUpTo(on: Sql, side: Side, most: number): Promise<number> {
  const { rows } = await on.query<{ count: number }>(
    `select count(*) as count from (select from ${side.table} where ${within(side, {})} limit ${most}) counted`,
  )
  return rows[0]?.count ?? 0
}
