import type { Queryable } from '../db/db.ts'

/** Somebody who is at the provider now. */
export interface Attempt {
  readonly stateHash: string
  readonly browserHash: string
  readonly nonce: string
  readonly verifier: string
  readonly returnTo: string
}

/** Keeps an attempt, unless `most` are under way already. False where it was not kept. */
export async function insertAttempt(
  on: Queryable,
  attempt: Attempt,
  times: { readonly now: number; readonly expiresAt: number },
  most: number,
): Promise<boolean> {
  await on.query('delete from sign_ons where expires_at <= $1', [new Date(times.now)])
  const { rowCount } = await on.query(
    `insert into sign_ons (state_hash, browser_hash, nonce, verifier, return_to, expires_at)
     select $1, $2, $3, $4, $5, $6 where (select count(*) from sign_ons) < $7::int`,
    [
      attempt.stateHash,
      attempt.browserHash,
      attempt.nonce,
      attempt.verifier,
      attempt.returnTo,
      new Date(times.expiresAt),
      most,
    ],
  )
  return rowCount === 1
}

/** Takes an attempt out: of two answers with one state, on whichever servers, one finds it. */
export async function takeAttempt(
  on: Queryable,
  key: Pick<Attempt, 'stateHash' | 'browserHash'>,
  now: number,
): Promise<Attempt | undefined> {
  const { rows } = await on.query<{ nonce: string; verifier: string; return_to: string }>(
    `delete from sign_ons where state_hash = $1 and browser_hash = $2 and expires_at > $3
     returning nonce, verifier, return_to`,
    [key.stateHash, key.browserHash, new Date(now)],
  )
  const row = rows[0]
  return row === undefined
    ? undefined
    : { ...key, nonce: row.nonce, verifier: row.verifier, returnTo: row.return_to }
}
