import { quoteIdent } from '../db/db.ts'
import { orderBy, type Range, rangeParams, type Side, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { differs } from '../mapping/table-columns.ts'
import type { Connection } from '../target/target.ts'
import { type Rests, resting, restingParams } from './rests.ts'

export interface OpenRange extends Range {
  /** Of its checkpoint. */
  readonly id: number
  /** The rows of old that the bounds are about: all of them, or a part that is gone through by itself. */
  readonly side: Side
  /** Its rows have been copied once, if they were not passed over: those alone count that new lacks. */
  readonly again: boolean
  /** Rows of old may be copied without locks: those that were written meanwhile are looked at again. */
  readonly withoutLocks: boolean
  /** What is copied without locks may take its time. */
  readonly rests?: Rests
  /** At a pace it counts for so many rows at least: it looks at more than it copies. */
  readonly counts?: number
}

export interface ChunkCopied {
  readonly rows: number
  /** Rows of new that were written; the others were equal already. */
  readonly changed: number
}

const keysOf = ({ keyColumns }: Mapping): string[] => keyColumns.map(({ name }) => quoteIdent(name))

/** Columns of new that are written, and where their values come from; in the same order. */
const targets = (mapping: Mapping): string =>
  [...keysOf(mapping), ...mapping.columns.map(({ column }) => quoteIdent(column.name))].join(', ')
const sources = ({ keyColumns, columns }: Mapping): string =>
  [...keyColumns.map((_, i) => `k${i}`), ...columns.map((_, i) => `c${i}`)].join(', ')

/** Upsert of what the query `source` gives: the leader wins, equal rows are left alone. */
export function upsertInto(mapping: Mapping, source: string): string {
  const keys = keysOf(mapping)
  const columns = mapping.columns.map(({ column }) => quoteIdent(column.name))
  const changed = mapping.columns
    .map(({ column }) => {
      const name = quoteIdent(column.name)
      return differs(column, `switchback_new.${name}`, `excluded.${name}`)
    })
    .join(' or ')
  return `insert into ${mapping.to.table} as switchback_new (${targets(mapping)})
    overriding system value
    select ${sources(mapping)} from ${source}
    on conflict (${keys.join(', ')}) do update
      set ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}
      where ${changed}
    returning 1`
}

/** Keys and values of old, as new has them. */
export const oldValues = ({ old, columns }: Mapping): string =>
  [
    ...old.keys.map((key, i) => `${key} as k${i}`),
    ...columns.map(({ expression }, i) => `(${expression}) as c${i}`),
  ].join(', ')

/**
 * The checkpoint of a range, as long as it is not done and nobody has cut the range. Both bounds are asked for:
 * a crash of the target may take back that a range was handed out, and its number goes to another one then.
 */
const claim = ({ after, upTo }: { readonly after?: number; readonly upTo?: number }): string =>
  `select id from switchback.checkpoints where id = $1 and not done and up_to_key = $${upTo}::text[]
   and after_key ${after === undefined ? 'is null' : `= $${after}::text[]`}`

const SINCE_BEGUN = 'extract(epoch from clock_timestamp() - statement_timestamp()) * 1000'

/** What is asked of a part is not asked for long: prepared, it would be kept for each of them. */
const once =
  (on: Connection, { old }: Mapping, { side }: OpenRange) =>
  async (text: string, params: readonly unknown[]): Promise<ChunkCopied | undefined> => {
    const { rows } = await (side === old ? on.prepared : on.query)<ChunkCopied & Record<string, unknown>>(
      text,
      params,
    )
    return rows[0]
  }

const lockRows = ({ table }: Side): string => `for no key update of ${table.split('.').at(-1)}`

/**
 * Copies one range of which new has no row yet: as `copyChunk`, but it inserts without looking for a row to
 * overwrite, which takes half of the time, and without locks where a second look comes after; then it may rest
 * between rows. Undefined also where new has rows in the range. Fails where a row comes to be in new meanwhile: nothing is overwritten by
 * mistake.
 */
export async function fillChunk(
  on: Connection,
  mapping: Mapping,
  range: OpenRange,
): Promise<ChunkCopied | undefined> {
  const { numbers, values } = rangeParams(range, 1)
  const { old } = mapping
  // The bounds of a part say nothing about keys of new.
  const isPart = range.side !== old
  const rests = range.withoutLocks ? range.rests : undefined
  const text = `
    with claimed as materialized (
      ${claim(numbers)}
        ${isPart ? '' : `and not exists (select from ${mapping.to.table} where ${within(mapping.new, numbers)})`}
      for update skip locked
    ), copied as (
      insert into ${mapping.to.table} (${targets(mapping)}) overriding system value
      select ${sources(mapping)} from (
        select ${oldValues(mapping)} from ${range.side.table}
        where exists (select from claimed) and ${within(range.side, numbers)}
          ${rests === undefined ? '' : `and ${resting(values.length + 2)}`}
        order by ${orderBy(old)}
        ${range.withoutLocks ? '' : lockRows(old)}
      ) source
      returning 1
    )
    update switchback.checkpoints c
    set done = true, ms = ${SINCE_BEGUN}, rows = copied.count, changed = copied.count
    from claimed, (select count(*) from copied) copied where c.id = claimed.id
    returning c.rows, c.changed`
  const rested = rests === undefined ? [] : restingParams(rests)
  return once(on, mapping, range)(text, [range.id, ...values, ...rested])
}

/**
 * Copies one range in one statement that commits by itself: claims the checkpoint, locks the rows of old,
 * writes what differs, marks the checkpoint as done. Undefined where another worker has it, or had it.
 *
 * - Rows of old are locked: a writer that is not done yet is waited for, and its outcome is what is copied.
 * - They are locked in the order of their keys, and a row of new is written only while its row of old is
 *   held: the order of dual operations, so that nobody waits in a circle.
 */
export async function copyChunk(
  on: Connection,
  mapping: Mapping,
  range: OpenRange,
): Promise<ChunkCopied | undefined> {
  const { numbers, values } = rangeParams(range, 1)
  const { old } = mapping
  const text = `
    with claimed as materialized (
      ${claim(numbers)} for update skip locked
    ), source as materialized (
      select ${oldValues(mapping)} from ${range.side.table}
      where exists (select from claimed) and ${within(range.side, numbers)}
      order by ${orderBy(old)}
      ${lockRows(old)}
    ), copied as (
      ${upsertInto(mapping, 'source')}
    )
    update switchback.checkpoints c
    set done = true, ms = ${SINCE_BEGUN}, rows = (select count(*) from source${range.again ? ` where ${isMissing(mapping)}` : ''}),
      changed = (select count(*) from copied)
    from claimed where c.id = claimed.id
    returning c.rows, c.changed`
  return once(on, mapping, range)(text, [range.id, ...values])
}

/** Of a row of `source`: that new does not have it, as the statement found it. */
const isMissing = (mapping: Mapping): string =>
  `not exists (select from ${mapping.to.table} as switchback_new
    where ${mapping.keyColumns.map((_, i) => `${newKey(mapping, i)} = source.k${i}`).join(' and ')})`

/** The rows that are looked at, of either table. */
type BothSides = Pick<Mapping, 'old' | 'new'>

/**
 * Rows of new in a range that have no row in old. The range is asked of both, which old's rows of the same keys
 * are in anyway: both are read in the order of their keys then, instead of old's row by row.
 */
const strays = (mapping: Mapping, numbers: Parameters<typeof within>[1], sides: BothSides): string => {
  const counterpart = mapping.old.keys.map((key, i) => `${key} = ${newKey(mapping, i)}`).join(' and ')
  return `${within(sides.new, numbers)} and not exists (
    select from ${mapping.old.table} where ${counterpart} and ${within(sides.old, numbers)}
  )`
}

/** Whether there is something to be swept in a range, as one snapshot shows it. It holds no locks, and may rest. */
export async function hasStray(
  on: Connection,
  mapping: Mapping,
  range: Range,
  rests?: Rests,
): Promise<boolean> {
  const { numbers, values } = rangeParams(range)
  const rested = rests === undefined ? '' : `${resting(values.length + 1)} and `
  const { rows } = await on.prepared<{ found: boolean }>(
    `select exists (
       select from ${mapping.to.table} as switchback_new where ${rested}${strays(mapping, numbers, mapping)}
     ) as found`,
    [...values, ...(rests === undefined ? [] : restingParams(rests))],
  )
  return rows[0]?.found === true
}

/**
 * Removes rows of new in a range that have no row in old. The connection is at REPEATABLE READ: were it at
 * READ COMMITTED, it could remove a row that was written again since it looked.
 */
export async function sweepChunk(
  on: Connection,
  mapping: Mapping,
  range: Range,
  sides: BothSides = mapping,
): Promise<number> {
  const { numbers, values } = rangeParams(range)
  const result = await on.prepared(
    `delete from ${mapping.to.table} as switchback_new where ${strays(mapping, numbers, sides)}`,
    values,
  )
  return result.rowCount ?? 0
}

/** A part of the key of new, for use beside the columns of old. */
export function newKey({ keyColumns, new: side }: Mapping, i: number, alias = 'switchback_new'): string {
  const name = quoteIdent(keyColumns[i]?.name ?? '')
  return (side.keys[i] ?? name).replace(name, `${alias}.${name}`)
}
