import { keyOrder } from '../mapping/key-order.ts'
import { countRows } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { Target } from '../target/target.ts'
import { tablesByBlocks } from './blocks.ts'
import { rangedValue, valueRanges } from './value-ranges.ts'
import { isSteady, meanwhile, type Part } from './walk.ts'
import { horizonNow, systemNow } from './written-since.ts'

/**
 * The parts that old is gone through in: the ranges of values that the definition asks for; else all of it in
 * the order of its keys, where an index gives that order; else its tables by their blocks, since every range
 * of keys would be looked for in the whole table.
 *
 * @param withoutLocks whether rows are copied without being locked, so that those written meanwhile are gone
 *   through once more in any case
 */
export async function planWalk(
  source: Target,
  mapping: Mapping,
  withoutLocks = false,
): Promise<readonly Part[]> {
  const { ranges, from } = mapping.copy
  // Before anything is bounded: what is written later is younger.
  const since = await horizonNow(source)
  const order = await keyOrder(source, mapping.old)
  const last = withoutLocks
    ? meanwhile(since, {
        ...(order.by === 'index' ? { inKeyOrder: true } : {}),
        ...systemOf(await systemNow(source)),
      })
    : meanwhile(since)
  if (ranges !== undefined) {
    const parts = await valueRanges(source, mapping, await rangedValue(source, mapping, ranges), ranges)
    return (isSteady(mapping) && !withoutLocks) || parts.length === 0 ? parts : [...parts, last]
  }
  const tables = order.by === 'index' ? undefined : await tablesByBlocks(source, mapping)
  if (tables !== undefined) return [...tables, last]
  const whole = { name: from, rows: await countRows(source, mapping.old) }
  return withoutLocks ? [whole, last] : [whole]
}

const systemOf = (system: string | undefined): Pick<Part, 'system'> =>
  system === undefined ? {} : { system }
