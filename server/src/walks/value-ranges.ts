import { calendarSpan, type Ranges } from '@switchback/migrations-registry'
import { estimatedRows, keyOrder } from '../mapping/key-order.ts'
import { countRows, EXACT_UP_TO, within } from '../mapping/keyset.ts'
import { type Mapping, typeOf } from '../mapping/mapping.ts'
import { ExecutionError } from '../target/execution-error.ts'
import type { Sql, Target } from '../target/target.ts'
import { type Part, sideWithin, type ValueBounds, type ValueOf } from './walk.ts'

/** So many are listed and looked at with every look at the progress. */
const MOST = 1_000

const NUMBERS = new Set(['int2', 'int4', 'int8', 'numeric'])
const TIMES = new Set(['date', 'timestamp', 'timestamptz'])

/** What `copy.ranges.by` is; @throws ExecutionError where its type and `every` do not go together */
export async function rangedValue(on: Sql, mapping: Mapping, { by, every }: Ranges): Promise<ValueOf> {
  const { type, base } = await typeOf(on, mapping.from, by)
  const fits = typeof every === 'number' ? NUMBERS.has(base) : TIMES.has(base)
  if (fits) return { expression: by, type }
  throw new ExecutionError(
    'work-impossible',
    `copy.ranges.every (${every}) does not go with copy.ranges.by ("${by}"), which is a ${type}: ` +
      'numbers go with integers, spans such as "1 month" with dates and timestamps',
  )
}

interface Bound extends Record<string, unknown> {
  readonly bound: string
  readonly label: string
}

/** Where ranges begin, in rising order; the first of them where the least value is. */
async function boundsOf(on: Sql, { old }: Mapping, value: ValueOf, every: Ranges['every']): Promise<Bound[]> {
  const span = calendarSpan(every)
  const finite = `${within(old, {})} and (${value.expression}) is not null`
  if (span === undefined) {
    const { rows } = await on.query<Bound>(
      `select bound::text, bound::text || '-' || (bound + $1::numeric - 1)::text as label
       from (select min(${value.expression}) as low, max(${value.expression}) as high from ${old.table} where ${finite}) ends,
         generate_series(floor(low::numeric / $1::numeric) * $1::numeric, high::numeric, $1::numeric) bound
       limit ${MOST + 1}`,
      [every],
    )
    return rows
  }
  // A date is moved by the calendar as a timestamp, which knows of no zone.
  const moved = value.type === 'date' ? 'timestamp' : value.type
  const label = {
    hour: 'YYYY-MM-DD HH24:MI',
    day: 'YYYY-MM-DD',
    week: 'YYYY-MM-DD',
    month: 'YYYY-MM',
    year: 'YYYY',
  }
  const { rows } = await on.query<Bound>(
    `select bound::${value.type}::text as bound, to_char(bound, $3) as label
     from (select min(${value.expression}) as low, max(${value.expression}) as high from ${old.table}
           where ${finite} and isfinite(${value.expression})) ends,
       generate_series(date_trunc($2, low::${moved}), high::${moved}, $1::interval) bound
     limit ${MOST + 1}`,
    [`${span.count} ${span.unit}`, span.unit, label[span.unit]],
  )
  return rows
}

/**
 * The ranges of values that old holds now, in the order in which they are to be done. What is below the first or
 * above the last belongs to these; rows without a value are a range of their own.
 */
export async function valueRanges(
  source: Target,
  mapping: Mapping,
  value: ValueOf,
  ranges: Ranges,
): Promise<readonly Part[]> {
  const bounds = await boundsOf(source, mapping, value, ranges.every)
  if (bounds.length > MOST) {
    throw new ExecutionError(
      'work-impossible',
      `copy.ranges makes more than ${MOST} ranges of ${mapping.copy.from}: choose a larger copy.ranges.every than ${ranges.every}`,
    )
  }
  const named = bounds.map(({ bound, label }, i): Pick<Part, 'name' | 'values'> => {
    const to = bounds[i + 1]?.bound
    return {
      name: label,
      values: { ...(i === 0 ? {} : { from: bound }), ...(to === undefined ? {} : { to }) },
    }
  })
  if (ranges.order === 'newest-first') named.reverse()
  const none: ValueBounds = { none: true }
  const withoutValue = sideWithin(mapping.old, value, { values: none })
  const { rowCount } = await source.query(
    `select from ${withoutValue.table} where ${within(withoutValue, {})} limit 1`,
  )
  const all = [...named, ...(rowCount === 0 ? [] : [{ name: `without ${value.expression}`, values: none }])]
  const sorted = await orderWithin(source, mapping, value, named)
  const small = (await countRows(source, mapping.old)) <= EXACT_UP_TO
  return Promise.all(
    all.map(async (part) => {
      const side = sideWithin(mapping.old, value, { ...part, sorted })
      const rows = small ? await countRows(source, side) : await estimatedRows(source, side)
      return { ...part, sorted, rows }
    }),
  )
}

/** @throws ExecutionError where each chunk would have to look for its rows in the whole table */
async function orderWithin(
  source: Target,
  mapping: Mapping,
  value: ValueOf,
  parts: readonly Pick<Part, 'values'>[],
): Promise<NonNullable<Part['sorted']>> {
  const sorted = await cheapOrder(source, mapping.old, value, parts)
  if (sorted !== undefined) return sorted
  const { from, ranges } = mapping.copy
  throw new ExecutionError(
    'work-impossible',
    `no index serves copy.ranges.by ("${ranges?.by}"), so that each range would be looked for in all of ${from}: ` +
      `create index concurrently on ${from} (${[ranges?.by, ...Object.values(mapping.copy.key)].join(', ')}), ` +
      `or leave copy.ranges out`,
  )
}

/** In which order the rows of a range of values can be had without going through others; undefined where in none. */
export async function cheapOrder(
  on: Target,
  side: Mapping['old'],
  value: ValueOf,
  parts: readonly Pick<Part, 'values'>[],
): Promise<Part['sorted']> {
  // One from the middle: the planner can leave out partitions on either side.
  const values = parts[Math.floor(parts.length / 2)]?.values ?? {}
  const byValue = await keyOrder(on, sideWithin(side, value, { values, sorted: 'by-value' }))
  if (byValue.by === 'index') return 'by-value'
  const byKey = await keyOrder(on, sideWithin(side, value, { values, sorted: 'by-key' }))
  if (byKey.by === 'index') {
    const leads = side.keys[0]?.replaceAll(/[()\s]/g, '') === value.expression.replaceAll(/[()\s]/g, '')
    if (leads) return 'by-key'
    const { tables } = await keyOrder(on, side)
    if (byKey.tables < tables) return 'by-key'
  }
  return byValue.by === 'nearly' ? 'by-value' : undefined
}
