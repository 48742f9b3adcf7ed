import { quoteText } from '../db/db.ts'
import type { Side } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { byHash, writtenSince } from './written-since.ts'

/** Values from `from` on and below `to`; without the one or the other, all on that side. */
export interface ValueBounds {
  readonly from?: string
  readonly to?: string
  /** Instead: the rows that have no value. */
  readonly none?: true
}

/** One table by its blocks, as it stood when the copy began. */
export interface Blocks {
  /** Its name, quoted, for `to_regclass`. */
  readonly table: string
  readonly count: number
  /** Another one says that the table was written anew, with its rows in other places. */
  readonly filenode: number
}

/** A part of old that is gone through by itself. */
export interface Part {
  readonly name: string
  /** An estimate where it is not known exactly. */
  readonly rows: number
  readonly blocks?: Blocks
  readonly values?: ValueBounds
  /** Instead: rows of all of old that were written since this transaction, by the hash of their keys… */
  readonly since?: string
  /** …or in the order of their keys. */
  readonly inKeyOrder?: true
  /** The server that has counted the transactions. */
  readonly system?: string
  /** Whether the rows of a range of values come in the order of the value, or of the key alone. */
  readonly sorted?: 'by-value' | 'by-key'
}

/** Of a value by whose ranges a table is gone through, on one side. */
export interface ValueOf {
  readonly expression: string
  readonly type: string
}

export function boundedBy({ expression, type }: ValueOf, { from, to, none }: ValueBounds): string {
  if (none === true) return `(${expression}) is null`
  const conditions = [
    ...(from === undefined ? [] : [`(${expression}) >= ${quoteText(from)}::${type}`]),
    ...(to === undefined ? [] : [`(${expression}) < ${quoteText(to)}::${type}`]),
  ]
  // Without bounds all that have a value.
  return conditions.length === 0 ? `(${expression}) is not null` : conditions.join(' and ')
}

/** A side cut down to a range of values, in the order in which its rows are had without sorting. */
export function sideWithin(
  side: Side,
  value: ValueOf,
  { values = {}, sorted = 'by-key' }: Pick<Part, 'values' | 'sorted'>,
): Side {
  const where = [...(side.where === undefined ? [] : [`(${side.where})`]), boundedBy(value, values)]
  const cut = { ...side, where: where.join(' and ') }
  if (sorted === 'by-key' || values.none === true) return cut
  return { ...cut, keys: [`(${value.expression})`, ...side.keys], types: [value.type, ...side.types] }
}

/** The last part, where others are bounded by what a write may change, or copied without locks. */
export const meanwhile = (since: string, more: Pick<Part, 'inKeyOrder' | 'system'> = {}): Part => ({
  ...{ name: 'written meanwhile', rows: 0, since },
  ...more,
})

/** Whether a write may change what ranges go by. */
export const isSteady = ({ copy }: Mapping): boolean =>
  Object.values(copy.key).some((key) => key.trim() === copy.ranges?.by.trim())

/** The name by which the mapping's expressions may call the table of old. */
const aliasOf = ({ old }: Mapping): string => old.table.split('.').at(-1) ?? old.table

/** The rows of a part, and the order in which they are handed out. */
export function sideOf(mapping: Mapping, part: Part, value: ValueOf | undefined): Side {
  const { old } = mapping
  if (part.blocks !== undefined) {
    return {
      table: `only ${part.blocks.table} as ${aliasOf(mapping)}`,
      keys: ['ctid'],
      types: ['tid'],
      ...(old.where === undefined ? {} : { where: old.where }),
    }
  }
  if (part.since !== undefined) {
    const young = writtenSince(old, part.since)
    return part.inKeyOrder ? young : byHash(young)
  }
  return part.values === undefined || value === undefined ? old : sideWithin(old, value, part)
}
