import { quoteIdent } from '../db/db.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { ReverseMapping } from '../mapping/reverse-mapping.ts'
import { differs } from '../mapping/table-columns.ts'

/** What a row of old gets from new: columns of `source` are `switchback_k0…` and `switchback_c0…`. */
export const backColumns = (reverse: ReverseMapping) => [...reverse.columns, ...reverse.keyColumns]

const sameKey = ({ old }: Mapping): string =>
  old.keys.map((key, i) => `${key} = source.switchback_k${i}`).join(' and ')

/** Brings rows of old up to the query `source`; undefined where no column follows from new. */
export function updateOld(mapping: Mapping, reverse: ReverseMapping, source: string): string | undefined {
  const set = reverse.columns.map(({ column }, i) => `${quoteIdent(column.name)} = source.switchback_c${i}`)
  if (set.length === 0) return undefined
  const changed = reverse.columns.map(({ column }, i) =>
    differs(column, quoteIdent(column.name), `source.switchback_c${i}`),
  )
  return `update ${mapping.old.table} set ${set.join(', ')} from (${source}) source
    where ${sameKey(mapping)} and (${changed.join(' or ')})`
}

/** Adds what old lacks of the query `source`; undefined where a row of old cannot be made from new. */
export function insertOld(mapping: Mapping, reverse: ReverseMapping, source: string): string | undefined {
  if (reverse.uncovered.length > 0) return undefined
  const all = backColumns(reverse)
  return `insert into ${mapping.old.table} (${all.map(({ column }) => quoteIdent(column.name)).join(', ')})
    overriding system value
    select ${all.map((_, i) => `switchback_c${i}`).join(', ')} from (${source}) source
    where not exists (select from ${mapping.old.table} where ${sameKey(mapping)})`
}

/** What is gone in new: its row in old is removed only where that holds nothing else. */
export function emptyOld({ old }: Mapping, reverse: ReverseMapping, gone: string): string | undefined {
  if (!reverse.wide) return `delete from ${old.table} where ${gone}`
  if (reverse.emptied.length === 0) return undefined
  const set = reverse.emptied.map(({ column, value }) => `${quoteIdent(column.name)} = ${value}`)
  return `update ${old.table} set ${set.join(', ')} where ${gone}`
}
