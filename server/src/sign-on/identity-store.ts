import { createHash } from 'node:crypto'
import type { Queryable } from '../db/db.ts'
import { RESERVED_NAMES } from '../tokens/reserved-names.ts'
import type { Vouched } from './read-claims.ts'

export interface Identity {
  readonly id: string
  readonly name: string
}

const MAX_NAME = 99

/** What can stand in an audit log and in a line of a terminal. */
const readable = (name: string): string =>
  name
    .replace(/[^\p{L}\p{N}_@.+' -]+/gu, ' ')
    .replace(/ +/g, ' ')
    .trim()
    .slice(0, MAX_NAME)
    .trim()

/**
 * The identity of who the provider vouches for, and the name it goes by. A name that has ever been somebody's
 * stays theirs: otherwise an address that passes on to a successor would make two people one in the audit log.
 */
export async function recogniseIdentity(
  tx: Queryable,
  { issuer, subject, address, names }: Vouched,
  { newId, now }: { readonly newId: string; readonly now: number },
): Promise<Identity> {
  const { rows } = await tx.query<{ id: string }>(
    `insert into identities (id, issuer, subject, name, first_seen_at, last_seen_at)
     values ($1, $2, $3, '', $4, $4)
     on conflict (issuer, subject) do update set last_seen_at = excluded.last_seen_at
     returning id`,
    [newId, issuer, subject, new Date(now)],
  )
  const id = rows[0]?.id ?? newId
  const mark = createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex')
    .slice(0, 8)
  const wished = [address ?? '', ...names].map(readable).filter((each) => each !== '')
  const candidates = [...wished, `${wished[0] ?? 'somebody'} ${mark}`]
  const name = (await firstFree(tx, id, candidates, readable(address ?? ''))) ?? id
  await tx.query(
    'insert into identity_names (name, identity) values (lower($1), $2) on conflict do nothing',
    [name, id],
  )
  await tx.query('update identities set name = $2 where id = $1', [id, name])
  return { id, name }
}

/**
 * The first name that is this identity's already, or nobody's: no other person's, of no part of the server, and
 * of no token. A token that bears the person's own address is taken for theirs: that is what it was named for.
 */
async function firstFree(
  tx: Queryable,
  id: string,
  names: readonly string[],
  address: string,
): Promise<string | undefined> {
  const { rows } = await tx.query<{ name: string }>(
    `select wished.name from unnest($1::text[]) with ordinality as wished (name, place)
     where not lower(wished.name) = any ($3)
       and not exists (
         select from identity_names taken where taken.name = lower(wished.name) and taken.identity <> $2
       )
       and (
         wished.name = $4 or not exists (select from tokens where lower(tokens.name) = lower(wished.name))
       )
     order by wished.place limit 1`,
    [names, id, RESERVED_NAMES, address],
  )
  return rows[0]?.name
}
