import { among, keyParams } from '../comparing/compare.ts'
import { backColumns, emptyOld, insertOld, updateOld } from '../comparing/copy-back.ts'
import { upsertInto } from '../copying/copy-chunk.ts'
import { type Key, orderBy, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { ReverseMapping } from '../mapping/reverse-mapping.ts'
import type { Column } from '../mapping/table-columns.ts'
import type { Sql } from '../target/target.ts'
import type { Connections, FarPair } from './pair.ts'

/** Rows on their way: one list of texts for each part of the key, then for each column. */
export type Texts = readonly (readonly (string | null)[])[]

export async function textsOf(
  on: Sql,
  text: string,
  params: readonly unknown[],
  width: number,
): Promise<Texts> {
  const { rows } = await on.query<Record<string, string | null>>(text, params)
  return Array.from({ length: width }, (_, i) => rows.map((row) => row[`t${i}`] ?? null))
}

/** Reads rows of old as new has them, and locks them: a writer that is not done yet is waited for.
 *  `unlocked`, as they are now. */
export function readOld(
  on: Sql,
  mapping: Mapping,
  scope: string,
  params: readonly unknown[],
  {
    table = mapping.old.table,
    unlocked = false,
  }: { readonly table?: string; readonly unlocked?: boolean } = {},
): Promise<Texts> {
  const { old, columns } = mapping
  const values = [
    ...old.keys.map((key) => `${key}::text`),
    ...columns.map(({ column, expression }) => `(${expression})::${column.base}::text`),
  ]
  return textsOf(
    on,
    `select ${values.map((value, i) => `${value} as t${i}`).join(', ')} from ${table}
     where ${scope} order by ${orderBy(old)} ${unlocked ? '' : `for no key update of ${old.table.split('.').at(-1)}`}`,
    params,
    values.length,
  )
}

/** SQL of rows that are passed as texts; `names` and `types` in the order of `Texts`. */
export const unnested = (names: readonly string[], types: readonly string[]): string =>
  `select ${names.map((name, i) => `t${i}::${types[i]} as ${name}`).join(', ')}
   from unnest(${names.map((_, i) => `$${i + 1}::text[]`).join(', ')}) as texts(${names.map((_, i) => `t${i}`).join(', ')})`

export const bases = (columns: readonly { readonly column: Column }[]): string[] =>
  columns.map(({ column }) => column.base)

/** Writes into new what differs; returns how many rows did. */
export async function writeNew(on: Sql, mapping: Mapping, texts: Texts): Promise<number> {
  if ((texts[0]?.length ?? 0) === 0) return 0
  const names = [...mapping.new.keys.map((_, i) => `k${i}`), ...mapping.columns.map((_, i) => `c${i}`)]
  const types = [...mapping.new.types, ...bases(mapping.columns)]
  const source = `(${unnested(names, types)}) source`
  const { rowCount } = await on.query(upsertInto(mapping, source), texts)
  return rowCount ?? 0
}

/**
 * Copies keys from the leader's database into the other one. To be called in a transaction of each, both with
 * the locks of the keys.
 */
export async function copyKeysFar(on: Connections, pair: FarPair, given: readonly Key[]): Promise<void> {
  if (pair.leader === 'old') await copyForward(on, pair, given)
  else await copyBack(on, pair, given)
}

async function copyForward(on: Connections, { mapping }: FarPair, given: readonly Key[]): Promise<void> {
  const { old, new: side } = mapping
  const keys = keyParams(given, old.keys.length)
  const texts = await readOld(on.old, mapping, `${among(old, 1)} and ${within(old, {})}`, keys)
  await writeNew(on.new, mapping, texts)
  const present = texts.slice(0, old.keys.length)
  await on.new.query(
    `delete from ${side.table} where ${among(side, 1)} and not ${among(side, 1 + keys.length)}`,
    [...keys, ...present],
  )
}

async function copyBack(
  on: Connections,
  { mapping, reverse }: FarPair,
  given: readonly Key[],
): Promise<void> {
  if (reverse === undefined) throw new Error('the way back is not described')
  const { old, new: side } = mapping
  const keys = keyParams(given, old.keys.length)
  // Old first, as in dual operations, whoever leads.
  await on.old.query(
    `select from ${old.table} where ${among(old, 1)} order by ${orderBy(old)} for no key update`,
    keys,
  )
  const all = backColumns(reverse)
  const values = [
    ...side.keys.map((key) => `${key}::text`),
    ...all.map(({ column, expression }) => `(${expression})::${column.base}::text`),
  ]
  const texts = await textsOf(
    on.new,
    `select ${values.map((value, i) => `${value} as t${i}`).join(', ')} from ${side.table}
     where ${among(side, 1)} order by ${orderBy(side)} for no key update`,
    keys,
    values.length,
  )
  await writeOld(on.old, mapping, reverse, texts, keys)
}

/** Brings old to what new has under `keys`: texts of its key and of `backColumns`, in this order. */
export async function writeOld(
  on: Sql,
  mapping: Mapping,
  reverse: ReverseMapping,
  texts: Texts,
  keys: readonly (readonly string[])[],
): Promise<void> {
  const { old, new: side } = mapping
  const all = backColumns(reverse)
  const source = unnested(
    [...side.keys.map((_, i) => `switchback_k${i}`), ...all.map((_, i) => `switchback_c${i}`)],
    [...old.types, ...bases(all)],
  )
  for (const text of [updateOld(mapping, reverse, source), insertOld(mapping, reverse, source)]) {
    if (text !== undefined) await on.query(text, texts)
  }
  const gone = `${among(old, 1)} and ${within(old, {})} and not ${among(old, 1 + keys.length)}`
  const empty = emptyOld(mapping, reverse, gone)
  if (empty !== undefined) await on.query(empty, [...keys, ...texts.slice(0, side.keys.length)])
}
