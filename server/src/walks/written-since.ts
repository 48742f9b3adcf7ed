import type { Key, Side } from '../mapping/keyset.ts'
import type { Sql } from '../target/target.ts'
import { CopyOutdated } from './copy-outdated.ts'

/*
 * Places and values are no keys: a row that is written anew may move behind what has been gone through, and so
 * be passed over. Its key stays, and its version tells that it is new. What was written since the beginning is
 * therefore looked at once more, by key, in statements that each see every one of their keys exactly once.
 */

/** Transactions that are before this one have ended: none of them writes from now on. */
export async function horizonNow(on: Sql): Promise<string> {
  const { rows } = await on.query<{ horizon: string }>(
    'select pg_snapshot_xmin(pg_current_snapshot())::text as horizon',
  )
  return rows[0]?.horizon ?? '0'
}

/** Which server counts the transactions: a database that is restored into another one has other numbers there. */
export async function systemNow(on: Sql): Promise<string | undefined> {
  const allowed = await on.query<{ allowed: boolean }>(
    `select has_function_privilege('pg_control_system()', 'execute') as allowed`,
  )
  if (allowed.rows[0]?.allowed !== true) return undefined
  const { rows } = await on.query<{ system: string }>(
    'select system_identifier::text as system from pg_control_system()',
  )
  return rows[0]?.system
}

/** So many transactions later a version that is older than the horizon may look younger, or the other way round. */
const MOST_XIDS = 2n ** 31n

/** @throws CopyOutdated where versions of rows cannot be told by this horizon any more */
export async function requireSameXids(
  on: Sql,
  { since, system }: { readonly since: string; readonly system?: string },
): Promise<void> {
  const now = BigInt(await horizonNow(on))
  const horizon = BigInt(since)
  const elsewhere = system !== undefined && system !== ((await systemNow(on)) ?? system)
  if (elsewhere || now < horizon)
    throw new CopyOutdated('the database was restored from a dump while it was copied')
  if (now - horizon >= MOST_XIDS)
    throw new CopyOutdated('more than two billion transactions have come since the copy began')
}

/** Rows whose version is of `horizon` or later. Frozen ones of long ago may be among them; that costs time alone. */
export function writtenSince(side: Side, horizon: string): Side {
  const young = `age(xmin) <= (select age('${BigInt(horizon)}'::xid8::xid))`
  return { ...side, where: side.where === undefined ? young : `(${side.where}) and ${young}` }
}

/** The hash of a record goes by the equality of its parts: an integer and the same bigint have the same. */
export const hashOf = ({ keys }: Side): string => `hash_record_extended(row(${keys.join(', ')}), 0)`

/** The same rows, to be gone through by the hash of their keys. */
export const byHash = (side: Side): Side => ({ ...side, keys: [hashOf(side)], types: ['bigint'] })

const LEAST = -(2n ** 63n)
const GREATEST = 2n ** 63n - 1n

export const LAST_HASH: Key = [String(GREATEST)]

/** Where the next of `slices` ranges of hashes ends. */
export function nextHash(after: Key | undefined, slices: number): Key {
  const from = after === undefined ? LEAST : BigInt(after[0] ?? 0)
  const upTo = from + 2n ** 64n / BigInt(slices)
  return upTo >= GREATEST - BigInt(slices) ? LAST_HASH : [String(upTo)]
}
