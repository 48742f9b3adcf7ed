import type { Difference } from '../comparing/compare.ts'
import { type Key, type Range, rangeParams, type Side, within } from '../mapping/keyset.ts'
import type { Sql } from '../target/target.ts'
import { type Both, rowDifferences, rowsOf, sumOfRows } from './compare-far.ts'
import type { FarPair, TextSide } from './pair.ts'
import { numberOf } from './text-digest.ts'

/*
 * Where no index gives the order of the keys, every range of keys would be looked for in the whole table. By the
 * hash of its key a row is in one of many buckets, alike in both databases, and one pass over a table tells the
 * checksums of all of them.
 */

/** Buckets of a slice, and into how many each is divided where it differs; as powers of two. */
const COARSE = 12
const FINER = 4

const LEAST = -(2n ** 63n)

/** A side whose rows have a place among all: the hash of their key. */
interface Hashed {
  readonly rows: TextSide
  readonly places: Side
}

const PLACE = 'switchback_place'

/** The hash is computed once for each row, however often it is asked for: that is what the offset is for. */
function hashed(side: TextSide): Hashed {
  const { where = 'true', ...rest } = side
  const name = side.table.split('.').at(-1) ?? side.table
  const texts = side.keys.map((key) => `${key}::text`)
  const key = texts.length === 1 ? (texts[0] ?? '') : `row(${texts.join(', ')})::text`
  const table = `(select ${name}.*, ${numberOf(key)} as ${PLACE} from ${side.table} where ${where} offset 0) ${name}`
  return { rows: { ...rest, table }, places: { table, keys: [PLACE], types: ['bigint'] } }
}

/** The places of slice `rest` of `of`. */
export function placesOf({ rest, of }: { readonly rest: number; readonly of: number }): Range {
  const width = 2n ** 64n / BigInt(of)
  const before = (slice: number): Key => [String(LEAST + width * BigInt(slice) - 1n)]
  return {
    after: rest === 0 ? undefined : before(rest),
    upTo: rest + 1 === of ? undefined : before(rest + 1),
  }
}

/** Which share of all places a range has. */
export function shareOf({ after, upTo }: Range): number {
  const from = after === undefined ? LEAST : BigInt(after[0] ?? 0)
  const to = upTo === undefined ? -LEAST : BigInt(upTo[0] ?? 0)
  return Number(to - from) / 2 ** 64
}

/** Buckets are places without their last bits. */
interface Buckets {
  readonly bits: number
  readonly all: readonly { readonly bucket: string; readonly rows: number }[]
}

interface Sum extends Record<string, unknown> {
  readonly bucket: string
  readonly count: number
  readonly sum: string
}

/** The condition of the rows of a range, and of these buckets if they are given. */
function scopeOf({ places }: Hashed, range: Range, among: Buckets | undefined) {
  const { numbers, values } = rangeParams(range)
  const scope = within(places, numbers)
  if (among === undefined) return { scope, values }
  return {
    scope: `${scope} and (${PLACE} >> ${among.bits}) = any($${values.length + 1}::bigint[])`,
    values: [...values, among.all.map(({ bucket }) => bucket)],
  }
}

async function sumsOf(
  on: Sql,
  side: Hashed,
  range: Range,
  bits: number,
  among: Buckets | undefined,
): Promise<ReadonlyMap<string, Sum>> {
  const { scope, values } = scopeOf(side, range, among)
  const { rows } = await on.query<Sum>(
    `select (${PLACE} >> ${bits})::text as bucket, count(*) as count, ${sumOfRows(side.rows)} as sum
     from ${side.rows.table} where ${scope} group by 1`,
    values,
  )
  return new Map(rows.map((row) => [row.bucket, row]))
}

/** Both statements begin at once: what is written in between seems to differ. */
async function unlike(
  on: Both,
  old: Hashed,
  fresh: Hashed,
  range: Range,
  bits: number,
  among?: Buckets,
): Promise<Buckets> {
  const [one, other] = await Promise.all([
    sumsOf(on.old, old, range, bits, among),
    sumsOf(on.new, fresh, range, bits, among),
  ])
  const all = [...new Set([...one.keys(), ...other.keys()])]
    .filter((bucket) => {
      const [a, b] = [one.get(bucket), other.get(bucket)]
      return a?.count !== b?.count || a?.sum !== b?.sum
    })
    .map((bucket) => ({
      bucket,
      rows: Math.max(one.get(bucket)?.count ?? 0, other.get(bucket)?.count ?? 0),
    }))
    .sort((a, b) => (BigInt(a.bucket) < BigInt(b.bucket) ? -1 : 1))
  return { bits, all }
}

const rowsIn = ({ all }: Buckets): number => all.reduce((sum, { rows }) => sum + rows, 0)

/** The first ones, as many as may be compared row by row at once. */
function first({ bits, all }: Buckets, most: number): Buckets {
  let rows = 0
  const end = all.findIndex((bucket) => {
    rows += bucket.rows
    return rows > most
  })
  return { bits, all: end < 0 ? all : all.slice(0, Math.max(1, end)) }
}

const endOf = ({ bits, all }: Buckets): Key => {
  const last = BigInt(all.at(-1)?.bucket ?? 0)
  return [String(((last + 1n) << BigInt(bits)) - 1n)]
}

/**
 * Differences in a range of places, by at most three passes over either table for each `most` rows that are in
 * buckets that differ. Returns how far it came: where many differ, not to the end of the range.
 *
 * @param of how many slices there are; the range is within one of them
 * @param most rows that are compared row by row at once
 */
export async function farDifferencesByHash(
  on: Both,
  pair: FarPair,
  range: Range,
  of: number,
  most: number,
): Promise<{ readonly upTo: Key | undefined; readonly found: readonly Difference[] }> {
  const [old, fresh] = [hashed(pair.old), hashed(pair.new)]
  const coarse = 64 - Math.log2(of) - COARSE
  let suspects = await unlike(on, old, fresh, range, coarse)
  if (rowsIn(suspects) > most) suspects = await unlike(on, old, fresh, range, coarse - FINER, suspects)
  if (suspects.all.length === 0) return { upTo: range.upTo, found: [] }
  const taken = first(suspects, most)
  const read = (path: 'old' | 'new', side: Hashed) => {
    const { scope, values } = scopeOf(side, range, taken)
    return rowsOf(on[path], side.rows, scope, values)
  }
  const [one, other] = await Promise.all([read('old', old), read('new', fresh)])
  return {
    upTo: taken.all.length === suspects.all.length ? range.upTo : endOf(taken),
    found: await rowDifferences(on, pair, one, other),
  }
}
