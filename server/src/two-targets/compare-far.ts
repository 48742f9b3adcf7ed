import type { Path } from '@switchback/migrations-registry'
import { among, type Difference, keyParams } from '../comparing/compare.ts'
import { quoteIdent } from '../db/db.ts'
import { type Key, keyArray, keyAt, keyText, type Range, rangeParams, within } from '../mapping/keyset.ts'
import { differs } from '../mapping/table-columns.ts'
import type { Sql } from '../target/target.ts'
import type { FarPair, TextSide } from './pair.ts'
import { digestOf, numberOf } from './text-digest.ts'

export type Both = Readonly<Record<Path, Sql>>

/**
 * Up to this a range is compared row by row: halving it further would read it again and again, which costs more
 * than a megabyte of digests.
 */
const ROWS = 10_000

/** A row as text, key and values; the text of a composite tells null from empty. */
const textOf = ({ keys, values }: TextSide): string =>
  `row(${[...keys.map((key) => `${key}::text`), ...values].join(', ')})::text`

interface Sum {
  readonly count: number
  readonly sum: string
}

/** SQL of the checksum of many rows. */
export const sumOfRows = (side: TextSide): string => `coalesce(sum(${numberOf(textOf(side))}), 0)::text`

/** Count and checksum of the rows in a range. */
async function sumOf(on: Sql, side: TextSide, range: Range): Promise<Sum> {
  const { numbers, values } = rangeParams(range)
  const { rows } = await on.query<{ count: number; sum: string }>(
    `select count(*) as count, ${sumOfRows(side)} as sum from ${side.table} where ${within(side, numbers)}`,
    values,
  )
  return rows[0] ?? { count: 0, sum: '0' }
}

/** A row as it is compared; with its values one by one where somebody wants to see which of them differ. */
interface Row extends Record<string, unknown> {
  readonly key: Key
  readonly hash: string
  readonly digests?: readonly (string | null)[]
  readonly shown?: readonly (string | null)[]
}

type Rows = ReadonlyMap<string, Row>

/** Longer values are told by their beginning. */
const SHOWN = 200

export async function rowsOf(
  on: Sql,
  side: TextSide,
  scope: string,
  params: readonly unknown[],
  how: 'hashed' | 'with-values' = 'hashed',
): Promise<Rows> {
  const { keys, values, table } = side
  const list = (sql: (value: string) => string) => `array[${values.map(sql).join(', ')}]::text[]`
  const each =
    how === 'hashed'
      ? ''
      : `, ${list(digestOf)} as digests, ${list((value) => `left(${value}, ${SHOWN})`)} as shown`
  const { rows } = await on.query<Row>(
    `select ${keyArray(keys)} as key, ${digestOf(textOf(side))} as hash ${each}
     from ${table} where ${scope} order by ${keys.join(', ')}`,
    params,
  )
  return new Map(rows.map((row) => [keyText(row.key), row]))
}

function whatDiffers(
  { mapping, reverse }: FarPair,
  old: Row,
  fresh: Row,
): Pick<Difference, 'columns' | 'values'> {
  const names = (reverse ?? mapping).columns.map(({ column }) => column.name)
  const places = names.flatMap((_, i) => (old.digests?.[i] === fresh.digests?.[i] ? [] : [i]))
  const shown = places.map((i) => [
    names[i] ?? '',
    { old: old.shown?.[i] ?? null, new: fresh.shown?.[i] ?? null },
  ])
  return {
    columns: places.map((i) => names[i] ?? ''),
    ...(places.length === 0 ? {} : { values: Object.fromEntries(shown) }),
  }
}

export async function rowDifferences(on: Both, pair: FarPair, old: Rows, fresh: Rows): Promise<Difference[]> {
  const [leading, following] = pair.leader === 'old' ? [old, fresh] : [fresh, old]
  const found: Difference[] = []
  for (const [text, row] of leading) {
    const { key } = row
    const other = following.get(text)
    if (other === undefined) found.push({ key, kind: 'missing', columns: [] })
    else if (other.hash !== row.hash) {
      const [one, two] = pair.leader === 'old' ? [row, other] : [other, row]
      found.push({ key, kind: 'differs', ...whatDiffers(pair, one, two) })
    }
  }
  const extra = [...following].filter(([text]) => !leading.has(text)).map(([, { key }]) => key)
  for (const key of await standingExtras(on, pair, extra)) found.push({ key, kind: 'extra', columns: [] })
  return found
}

/** A row of a wider table stays when its counterpart is gone; emptied, it equals no row. */
export async function standingExtras(
  on: Pick<Both, 'old'>,
  { leader, reverse, mapping }: Pick<FarPair, 'leader' | 'reverse' | 'mapping'>,
  keys: readonly Key[],
): Promise<readonly Key[]> {
  if (leader === 'old' || reverse === undefined || !reverse.wide || keys.length === 0) return keys
  if (reverse.stuck.length > 0) return keys
  const unequal = reverse.emptied.map(({ column, value }) => differs(column, quoteIdent(column.name), value))
  if (unequal.length === 0) return []
  const { old } = mapping
  const { rows } = await on.old.query<{ key: string[] }>(
    `select ${keyArray(old.keys)} as key from ${old.table}
     where ${among(old, 1)} and ${within(old, {})} and (${unequal.join(' or ')})`,
    keyParams(keys, old.keys.length),
  )
  return rows.map(({ key }) => key)
}

/** Differences of these keys as they are now; of use under their locks in both databases. */
export async function farDifferencesOf(
  on: Both,
  pair: FarPair,
  keys: readonly Key[],
): Promise<readonly Difference[]> {
  const params = keyParams(keys, pair.old.keys.length)
  const scope = `${among(pair.old, 1)} and ${within(pair.old, {})}`
  const old = await rowsOf(on.old, pair.old, scope, params, 'with-values')
  const fresh = await rowsOf(on.new, pair.new, among(pair.new, 1), params, 'with-values')
  return rowDifferences(on, pair, old, fresh)
}

/**
 * Where a range seems to differ: its checksums, halved down to the rows. No state spans two databases, so
 * writes in progress are among what is found; it counts when it stands under the locks.
 */
export async function farDifferencesWithin(
  on: Both,
  pair: FarPair,
  range: Range,
): Promise<readonly Difference[]> {
  const [old, fresh] = await Promise.all([sumOf(on.old, pair.old, range), sumOf(on.new, pair.new, range)])
  if (old.count === fresh.count && old.sum === fresh.sum) return []
  const larger: Path = old.count >= fresh.count ? 'old' : 'new'
  const count = Math.max(old.count, fresh.count)
  const middle = count <= ROWS ? undefined : await keyAt(on[larger], pair[larger], range, count / 2)
  if (middle === undefined || (range.upTo !== undefined && keyText(middle) === keyText(range.upTo))) {
    const { numbers, values } = rangeParams(range)
    const [one, other] = await Promise.all([
      rowsOf(on.old, pair.old, within(pair.old, numbers), values),
      rowsOf(on.new, pair.new, within(pair.new, numbers), values),
    ])
    return rowDifferences(on, pair, one, other)
  }
  return [
    ...(await farDifferencesWithin(on, pair, { after: range.after, upTo: middle })),
    ...(await farDifferencesWithin(on, pair, { after: middle, upTo: range.upTo })),
  ]
}
