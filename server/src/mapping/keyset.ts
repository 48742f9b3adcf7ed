import type { Sql } from '../target/target.ts'

/** A key as text, part by part; text because it goes through JavaScript without loss. */
export type Key = readonly string[]

/** One table of a pair, as a set of rows sorted by key. */
export interface Side {
  /** Quoted. */
  readonly table: string
  /** SQL of the key's parts. */
  readonly keys: readonly string[]
  readonly types: readonly string[]
  /** The key's parts as an index finds them, where `keys` have another order than it. */
  readonly found?: readonly string[]
  /** Condition of the rows that count. */
  readonly where?: string
}

/** Keys greater than `after` and up to `upTo`; undefined is without bound. */
export interface Range {
  readonly after: Key | undefined
  readonly upTo: Key | undefined
}

/** The key as the locks and the SDK write it. */
export const KEY_SEPARATOR = '\u001f'
export const keyText = (key: Key): string => key.join(KEY_SEPARATOR)

const row = (parts: readonly string[]): string =>
  parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(', ')})`

/** Types whose values compare with each other; a bound may be a key of the other table, which has more of them. */
const widest = (type: string): string =>
  type === 'smallint' || type === 'integer' ? 'bigint' : type.startsWith('character varying') ? 'text' : type

/** SQL of a key that is passed as an array of text. */
const bound = (side: Side, param: number): string =>
  row(side.types.map((type, i) => `(($${param}::text[])[${i + 1}])::${widest(type)}`))

/** Conditions of the rows of `side` within a range whose bounds are the parameters given. */
export function within(side: Side, params: { after?: number; upTo?: number }): string {
  const key = row(side.keys)
  const conditions = [
    ...(params.after === undefined ? [] : [`${key} > ${bound(side, params.after)}`]),
    ...(params.upTo === undefined ? [] : [`${key} <= ${bound(side, params.upTo)}`]),
    ...(side.where === undefined ? [] : [`(${side.where})`]),
  ]
  return conditions.length === 0 ? 'true' : conditions.join(' and ')
}

/** Parameters and their numbers for a range; numbering starts after `offset`. */
export function rangeParams(
  { after, upTo }: Range,
  offset = 0,
): { numbers: { after?: number; upTo?: number }; values: readonly Key[] } {
  const values = [after, upTo].filter((key) => key !== undefined)
  return {
    values,
    numbers: {
      ...(after === undefined ? {} : { after: offset + 1 }),
      ...(upTo === undefined ? {} : { upTo: offset + values.length }),
    },
  }
}

/** SQL of the key's parts as an array of text. */
export const keyArray = (keys: readonly string[]): string =>
  `array[${keys.map((key) => `${key}::text`).join(', ')}]`

export const orderBy = (side: Side, direction = ''): string =>
  side.keys.map((key) => `${key}${direction}`).join(', ')

/** The key of the n-th row of a range, or undefined where it has fewer. No row is locked or waited for. */
export async function keyAt(on: Sql, side: Side, range: Range, n: number): Promise<Key | undefined> {
  const { numbers, values } = rangeParams(range)
  const parts = side.keys.map((_, i) => `k${i}`)
  // Made to text outside: inside, every key that is passed over would be.
  const { rows } = await on.query<{ key: string[] }>(
    `select ${keyArray(parts)} as key from (
       select ${side.keys.map((key, i) => `${key} as k${i}`).join(', ')} from ${side.table}
       where ${within(side, numbers)} order by ${orderBy(side)} offset ${Math.max(0, Math.floor(n) - 1)} limit 1
     ) nth`,
    values,
  )
  return rows[0]?.key
}

/** Keys of about n rows, drawn from all over the table; the same ones again by the same seed. */
export async function sampleKeys(on: Sql, side: Side, n: number, seed: number): Promise<readonly Key[]> {
  const { rows } = await on.query<{ key: string[] }>(
    `select ${keyArray(side.keys)} as key
     from ${side.table} tablesample system (
       (select least(100, greatest(0.0001, ${n} * 100 / greatest(reltuples, 1))) from pg_class where oid = to_regclass($1))
     ) repeatable (${seed})
     where ${within(side, {})} limit ${n}`,
    [side.table],
  )
  return rows.map(({ key }) => key)
}

/** The greatest key, or undefined where there is no row. */
export async function lastKey(on: Sql, side: Side): Promise<Key | undefined> {
  const { rows } = await on.query<{ key: string[] }>(
    `select ${keyArray(side.keys)} as key from ${side.table}
     where ${[...side.keys.map((key) => `${key} is not null`), within(side, {})].join(' and ')}
     order by ${orderBy(side, ' desc')} limit 1`,
  )
  return rows[0]?.key
}

/** Larger tables are not counted. */
export const EXACT_UP_TO = 5_000_000

/** How many rows there are: counted, or the planner's estimate where counting would take long. */
export async function countRows(on: Sql, side: Side): Promise<number> {
  const estimate = await on.query<{ rows: number }>(
    'select reltuples::float8 as rows from pg_class where oid = to_regclass($1)',
    [side.table],
  )
  const guessed = estimate.rows[0]?.rows ?? -1
  if (guessed > EXACT_UP_TO) return Math.round(guessed)
  const { rows } = await on.query<{ count: number }>(
    `select count(*) as count from ${side.table} where ${within(side, {})}`,
  )
  return rows[0]?.count ?? 0
}
