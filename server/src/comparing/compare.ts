import type { Tolerance } from '@switchback/migrations-registry'
import { quoteIdent } from '../db/db.ts'
import { type Key, keyArray, type Range, rangeParams, type Side, within } from '../mapping/keyset.ts'
import type { MappedColumn, Mapping } from '../mapping/mapping.ts'
import type { ReverseMapping } from '../mapping/reverse-mapping.ts'
import { differs } from '../mapping/table-columns.ts'
import { unlike } from '../mapping/tolerance.ts'
import type { Connection, Sql } from '../target/target.ts'

/** Two tables and who leads: the leader's values are what the other one should have. */
export type Pair =
  | { readonly mapping: Mapping; readonly leader: 'old' }
  | { readonly mapping: Mapping; readonly leader: 'new'; readonly reverse: ReverseMapping }

export interface Difference {
  readonly key: Key
  /** What the path that follows has: no row, a row too many, or other values. */
  readonly kind: 'missing' | 'extra' | 'differs'
  readonly columns: readonly string[]
  /** What both have in these columns, shortened. */
  readonly values?: Readonly<
    Record<string, { readonly old: string | null; readonly new: string | null }>
  > | null
}

/** Condition for a list of keys, passed as one array of text for each part. */
export function among({ keys, types, found }: Side, first: number): string {
  const params = types.map((_, i) => `$${first + i}::text[]`).join(', ')
  const names = types.map((_, i) => `p${i}`).join(', ')
  const given = `(select ${types.map((type, i) => `p${i}::${type}`).join(', ')} from unnest(${params}) as keys(${names}))`
  const exactly = `(${keys.join(', ')}) in ${given}`
  // What a collation calls equal may be other keys by their bytes.
  return found === undefined ? exactly : `((${found.join(', ')}) in ${given} and ${exactly})`
}

/** Parameters for `among`. */
export const keyParams = (keys: readonly Key[], parts: number): readonly string[][] =>
  Array.from({ length: parts }, (_, i) => keys.map((key) => key[i] ?? ''))

interface Compared {
  readonly column: MappedColumn['column']
  readonly tolerance: Tolerance | undefined
  readonly old: string
  readonly new: string
}

/** Longer values are told by their beginning. */
const SHOWN = 200

function compared(pair: Pair): readonly Compared[] {
  const tolerances = new Map(Object.entries(pair.mapping.copy.compare ?? {}))
  return pair.leader === 'old'
    ? pair.mapping.columns.map(({ column, expression }) => ({
        column,
        tolerance: tolerances.get(column.name),
        old: `(${expression})::${column.type}`,
        new: quoteIdent(column.name),
      }))
    : pair.reverse.columns.map(({ column, expression }) => ({
        column,
        tolerance: [...tolerances].find(([name]) => quoteIdent(name) === expression)?.[1],
        old: quoteIdent(column.name),
        new: `(${expression})::${column.type}`,
      }))
}

/** SQL that is true where a row of old without one of new is not as it should be. */
function extraDiffers(pair: Pair, columns: readonly Compared[]): string {
  if (pair.leader === 'old' || !pair.reverse.wide) return 'true'
  const { emptied, stuck } = pair.reverse
  if (stuck.length > 0) return 'true'
  const place = (name: string): number => columns.findIndex(({ column }) => column.name === name)
  const unequal = emptied.map(({ column, value }) => differs(column, `o.c${place(column.name)}`, value))
  return unequal.length === 0 ? 'false' : `(${unequal.join(' or ')})`
}

function comparison(pair: Pair, oldScope: string, newScope: string): string {
  const { mapping } = pair
  const columns = compared(pair)
  const select = (side: Side, value: (column: Compared) => string, scope: string): string =>
    `select ${[
      ...side.keys.map((key, i) => `${key} as k${i}`),
      ...columns.map((column, i) => `${value(column)} as c${i}`),
    ].join(', ')} from ${side.table} where ${scope}`
  const unequal = columns.map(({ column, tolerance }, i) => unlike(tolerance, column, `o.c${i}`, `n.c${i}`))
  const keys = mapping.old.keys.map((_, i) => `coalesce(o.k${i}::text, n.k${i}::text)`)
  const [noOld, noNew] = ['o.k0 is null', 'n.k0 is null']
  const [missing, extra] = pair.leader === 'old' ? [noNew, noOld] : [noOld, noNew]
  const names = columns.map(
    ({ column }, i) => `case when ${unequal[i]} then '${column.name.replaceAll("'", "''")}' end`,
  )
  const values = columns.map(
    (
      { column },
      i,
    ) => `'${column.name.replaceAll("'", "''")}', case when ${unequal[i]} then jsonb_build_object(
      'old', left(o.c${i}::text, ${SHOWN}), 'new', left(n.c${i}::text, ${SHOWN})) end`,
  )
  return `
    select ${keyArray(keys)} as key,
           case when ${missing} then 'missing' when ${extra} then 'extra' else 'differs' end as kind,
           case when ${noOld} or ${noNew} then '{}'::text[]
                else array_remove(array[${names.join(', ')}]::text[], null) end as columns,
           case when not (${noOld} or ${noNew}) then (select jsonb_object_agg(key, value) from jsonb_each(jsonb_build_object(${values.join(', ')})) where value <> 'null') end as values
    from (${select(mapping.old, (column) => column.old, oldScope)}) o
      full join (${select(mapping.new, (column) => column.new, newScope)}) n
        on ${mapping.old.keys.map((_, i) => `o.k${i} = n.k${i}`).join(' and ')}
    where (${noOld}) or (${noNew} and ${extraDiffers(pair, columns)})
       or (o.k0 is not null and n.k0 is not null and (${unequal.length === 0 ? 'false' : unequal.join(' or ')}))
    order by ${mapping.old.keys.map((_, i) => `coalesce(o.k${i}, n.k${i})`).join(', ')}`
}

/** Differences within a range of `sides`, in one snapshot: what writes both in one transaction is seen whole or not at all. */
export async function differencesWithin(
  on: Connection,
  pair: Pair,
  range: Range,
  sides: Pick<Mapping, 'old' | 'new'> = pair.mapping,
): Promise<readonly Difference[]> {
  const { numbers, values } = rangeParams(range)
  const text = comparison(pair, within(sides.old, numbers), within(sides.new, numbers))
  const { rows } = await on.prepared<Difference & Record<string, unknown>>(text, values)
  return rows
}

export async function differencesOf(
  on: Connection,
  pair: Pair,
  keys: readonly Key[],
): Promise<readonly Difference[]> {
  const { old, new: side } = pair.mapping
  const oldScope = `${among(old, 1)} and ${within(old, {})}`
  const { rows } = await on.prepared<Difference & Record<string, unknown>>(
    comparison(pair, oldScope, among(side, 1)),
    keyParams(keys, old.keys.length),
  )
  return rows
}

/**
 * Where a range after `after` ends that holds at most `n` rows of either table; undefined where the rest does.
 * The lesser of both n-th keys: rows that only one of them has count too, and nothing is sorted.
 */
export async function keyOfBoth(
  on: Sql,
  { old, new: side }: Pick<Mapping, 'old' | 'new'>,
  after: Key | undefined,
  n: number,
): Promise<Key | undefined> {
  const { numbers, values } = rangeParams({ after, upTo: undefined })
  const part = (of: Side) =>
    `(select ${of.keys.map((key, i) => `${key} as k${i}`).join(', ')} from ${of.table}
      where ${within(of, numbers)} order by ${of.keys.join(', ')} offset ${n - 1} limit 1)`
  const keys = old.keys.map((_, i) => `k${i}`)
  const { rows } = await on.query<{ key: string[] }>(
    `select ${keyArray(keys)} as key from (${part(old)} union all ${part(side)}) both_sides
     order by ${keys.join(', ')} limit 1`,
    values,
  )
  return rows[0]?.key
}
