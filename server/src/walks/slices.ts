import type { Path } from '@switchback/migrations-registry'
import { quoteIdent } from '../db/db.ts'
import { keyOrder } from '../mapping/key-order.ts'
import { countRows, type Side } from '../mapping/keyset.ts'
import { alike, type Mapping } from '../mapping/mapping.ts'
import type { Target } from '../target/target.ts'
import { cheapOrder, rangedValue, valueRanges } from './value-ranges.ts'
import {
  type Blocks,
  isSteady,
  meanwhile,
  type Part,
  sideWithin,
  type ValueBounds,
  type ValueOf,
} from './walk.ts'
import { hashOf, horizonNow, writtenSince } from './written-since.ts'

/** Keys of both tables that are compared apart from the others. Plain data: it is kept with the pass. */
export interface Slice {
  readonly name: string
  /** About how many rows. */
  readonly rows: number
  readonly values?: ValueBounds
  readonly sorted?: NonNullable<Part['sorted']>
  /** Instead: keys of old that were written since this transaction; read whole, and joined by hash. */
  readonly since?: string
  /** Instead: the rows of one table of old, by its blocks. For what is compared without a table of new. */
  readonly blocks?: Blocks
  /** Instead: the keys that new lists. */
  readonly listed?: true
  /** Those keys whose hash leaves `rest` by `of`, a power of two; read whole, and joined by hash. */
  readonly hashed?: { readonly rest: number; readonly of: number }
}

/** The rows of a slice on either side. */
export type Sides = Readonly<Record<Path, Side>>

/** So many rows are joined by one statement, which ends well within a snapshot's welcome. */
const SLICE_ROWS = 2_000_000
/** Each slice reads both tables whole: with more of them the reading would outgrow the joining. */
const MOST_SLICES = 16

/**
 * What is compared, or swept, apart. One slice in the order of its keys where indexes of both tables give that
 * order; ranges of values where the definition asks for them and both tables can be had by them; else slices by
 * the hash of the key, each of which takes one pass over both tables, so that nothing is looked for again.
 */
export async function slicesOf(target: Target, mapping: Mapping): Promise<readonly Slice[]> {
  const byValue = await slicesByValue(target, mapping)
  if (byValue !== undefined) return byValue
  const hashed = await hashedSlices({ old: target, new: target }, mapping)
  return hashed ?? [{ name: mapping.copy.from, rows: await countRows(target, mapping.old) }]
}

/** Where the tables are: in one database, or each in its own. */
type Homes = Readonly<Record<Path, Target>>

async function slicesByHash(on: Homes, sides: Sides): Promise<readonly Slice[]> {
  const rows = Math.max(await countRows(on.old, sides.old), await countRows(on.new, sides.new))
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, rows / SLICE_ROWS)))
  const of = Math.min(MOST_SLICES, wanted)
  return Array.from({ length: of }, (_, rest) => ({
    name: `${rest + 1} of ${of}`,
    rows: Math.ceil(rows / of),
    hashed: { rest, of },
  }))
}

/** Whether ranges of keys can be had from both tables without looking for them. */
async function inKeyOrder(on: Homes, sides: Sides): Promise<boolean> {
  const orders = [await keyOrder(on.old, sides.old), await keyOrder(on.new, sides.new)]
  return orders.every(({ by }) => by === 'index')
}

/** Slices by hash of both tables, or undefined where the order of their keys serves. */
export async function hashedSlices(on: Homes, sides: Sides): Promise<readonly Slice[] | undefined> {
  return (await inKeyOrder(on, sides)) ? undefined : slicesByHash(on, sides)
}

/** Ranges of values on both sides, where new holds the value in a column of its own. */
async function slicesByValue(target: Target, mapping: Mapping): Promise<readonly Slice[] | undefined> {
  const { ranges } = mapping.copy
  if (ranges === undefined) return undefined
  const of = await valuesOf(target, mapping)
  if (of.new === undefined) return undefined
  const since = await horizonNow(target)
  const parts = await valueRanges(target, mapping, of.old, ranges)
  const [bounded] = parts
  const sorted = await cheapOrder(target, mapping.new, of.new, parts)
  if (bounded === undefined || sorted === undefined || sorted !== bounded.sorted) return undefined
  return isSteady(mapping) ? parts : [...parts, meanwhile(since)]
}

async function valuesOf(
  target: Target,
  mapping: Mapping,
): Promise<{ readonly old: ValueOf; readonly new: ValueOf | undefined }> {
  const { ranges } = mapping.copy
  if (ranges === undefined) throw new Error('the mapping has no ranges')
  const value = await rangedValue(target, mapping, ranges)
  const all = Object.entries({ ...mapping.copy.key, ...mapping.copy.columns })
  const name = all.find(([, expression]) => expression.trim() === ranges.by.trim())?.[0]
  const column = name === undefined ? undefined : mapping.to.columns.get(name)
  if (column === undefined || !sortsAlike(column.base, value.type)) return { old: value, new: undefined }
  return { old: value, new: { expression: quoteIdent(column.name), type: value.type } }
}

const INTEGERS = new Set(['smallint', 'integer', 'bigint'])
const sortsAlike = (one: string, other: string): boolean =>
  alike(one, other) || (INTEGERS.has(one) && INTEGERS.has(other))

/** What a connection is told before it joins by hash: where statistics are wanting, nested loops are guessed cheap. */
export const JOIN_BY_HASH = `set enable_nestloop = off; set work_mem = '64MB'`
/**
 * The first range of keys has no lower bound and the last no upper one: the planner, which has no statistics of a
 * new table yet, would take either for a large part of it and read all of it.
 */
export const JOIN_BY_INDEX = 'set enable_seqscan = off'

/** How to get from a slice to its rows. */
export async function sidesOf(target: Target, mapping: Mapping): Promise<(slice: Slice) => Sides> {
  const whole: Sides = { old: mapping.old, new: mapping.new }
  const of = mapping.copy.ranges === undefined ? undefined : await valuesOf(target, mapping)
  return ({ values, sorted, hashed, since }) => {
    if (since !== undefined) return sidesSince(whole, since)
    if (hashed !== undefined)
      return { old: hashedSide(whole.old, hashed), new: hashedSide(whole.new, hashed) }
    if (values === undefined || of?.new === undefined) return whole
    const part = { values, ...(sorted === undefined ? {} : { sorted }) }
    return { old: sideWithin(whole.old, of.old, part), new: sideWithin(whole.new, of.new, part) }
  }
}

function hashedSide(side: Side, { rest, of }: NonNullable<Slice['hashed']>): Side {
  if (of === 1) return side
  const mine = `(${hashOf(side)} & ${of - 1}) = ${rest}`
  return { ...side, where: side.where === undefined ? mine : `(${side.where}) and ${mine}` }
}

function sidesSince({ old, new: side }: Sides, since: string): Sides {
  const young = writtenSince(old, since)
  const keys = `select ${old.keys.join(', ')} from ${old.table} where ${young.where}`
  return { old: young, new: { ...side, where: `(${side.keys.join(', ')}) in (${keys})` } }
}

/** Whether a slice is compared by one statement. */
export const isWhole = ({ hashed, since }: Slice): boolean => hashed !== undefined || since !== undefined
