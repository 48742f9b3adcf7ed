import { type Key, keyText, type Range, type Side } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { Connection, Target } from '../target/target.ts'
import { requireSameBlocks } from '../walks/blocks.ts'
import type { Slice } from '../walks/slices.ts'
import { rangedValue } from '../walks/value-ranges.ts'
import { sideOf, type ValueOf } from '../walks/walk.ts'
import { type Ends, endsOf, upperOf } from '../walks/walk-ends.ts'

/** A range of old in the order in which its parts are gone through. */
export interface OldRange {
  readonly side: Side
  readonly range: Range
}

export const CHUNK = 2_000

/** Finds ranges of the slices of old; `end` is where a range ends that has been looked at before. */
export function walkOld(target: Target, mapping: Mapping) {
  let value: Promise<ValueOf> | undefined
  const known = new Map<Slice, Ends>()
  return async (
    on: Connection,
    slice: Slice,
    after: Key | undefined,
    end: Key | undefined,
  ): Promise<OldRange> => {
    const { ranges } = mapping.copy
    if (ranges !== undefined) value ??= rangedValue(target, mapping, ranges)
    const side = sideOf(mapping, slice, await value)
    if (slice.blocks !== undefined) await requireSameBlocks(on, slice.blocks)
    if (end !== undefined) return { side, range: { after, upTo: end } }
    const bounded = slice.since !== undefined || slice.blocks !== undefined
    const upper = bounded ? await upperOf(on, side, slice) : undefined
    const ends = known.get(slice) ?? endsOf(target, () => side, CHUNK)
    known.set(slice, ends)
    const upTo = await ends.endOf(0, slice, { after, upTo: upper }, CHUNK)
    const last = upTo === undefined || (upper !== undefined && keyText(upTo) === keyText(upper))
    return { side, range: { after, upTo: last ? undefined : upTo } }
  }
}
