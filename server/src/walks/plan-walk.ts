import { keyOrder } from '../mapping/key-order.ts'
import { countRows } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { Target } from '../target/target.ts'
import { tablesByBlocks } from './blocks.ts'
import { rangedValue, valueRanges } from './value-ranges.ts'
import { isSteady, meanwhile, type Part } from './walk.ts'
import { horizonNow } from './written-since.ts'

/**
 * The parts that old is gone through in: the ranges of values that the definition asks for; else all of it in
 * the order of its keys, where an index gives that order; else its tables by their blocks, since every range
 * of keys would be looked for in the whole table.
 */
export async function planWalk(source: Target, mapping: Mapping): Promise<readonly Part[]> {
  const { ranges, from } = mapping.copy
  // Before anything is bounded: what is written later is younger.
  const since = await horizonNow(source)
  if (ranges !== undefined) {
    const parts = await valueRanges(source, mapping, await rangedValue(source, mapping, ranges), ranges)
    return isSteady(mapping) || parts.length === 0 ? parts : [...parts, meanwhile(since)]
  }
  const order = await keyOrder(source, mapping.old)
  const tables = order.by === 'index' ? undefined : await tablesByBlocks(source, mapping)
  if (tables !== undefined) return [...tables, meanwhile(since)]
  return [{ name: from, rows: await countRows(source, mapping.old) }]
}
