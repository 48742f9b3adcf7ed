import { tablesByBlocks } from './blocks.ts'
import type { Places } from './checkpoints.ts'
import { keyOrder } from './key-order.ts'
import { countRows } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { rangedValue, valueRanges } from './value-ranges.ts'
import type { Part } from './walk.ts'

/**
 * The parts that old is gone through in: the ranges of values that the definition asks for; else all of it in
 * the order of its keys, where an index gives that order; else its tables by their blocks, since every range
 * of keys would be looked for in the whole table.
 */
export async function planWalk({ source }: Places, mapping: Mapping): Promise<readonly Part[]> {
  const { ranges, from } = mapping.copy
  if (ranges !== undefined) {
    return valueRanges(source, mapping, await rangedValue(source, mapping, ranges), ranges)
  }
  const order = await keyOrder(source, mapping.old)
  const tables = order.by === 'index' ? undefined : await tablesByBlocks(source, mapping)
  return tables ?? [{ name: from, rows: await countRows(source, mapping.old) }]
}
