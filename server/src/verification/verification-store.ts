import type { Queryable } from '../db/db.ts'

export type FindingOutcome = 'verified' | 'failed' | 'inconclusive'

/** One thing that was looked at after a revert. */
export interface Finding {
  readonly name: string
  readonly outcome: FindingOutcome
  readonly message: string
}

/** Whether a revert has helped. */
export interface Verification {
  readonly outcome: FindingOutcome
  /** Unix milliseconds. */
  readonly at: number
  readonly findings: readonly Finding[]
}

export interface UnverifiedRevert {
  readonly id: string
  readonly migration: string
  readonly committedAt: number
  readonly lastAckAt: number | undefined
}

/**
 * The oldest revert that nobody has verified, held for a while: whoever dies over it is followed by another.
 * One that moved nothing has nothing to be verified yet.
 */
export async function claimUnverified(
  on: Queryable,
  now: number,
  until: number,
): Promise<UnverifiedRevert | undefined> {
  const { rows } = await on.query<Row>(
    `update incidents set verifying_until = $2 where id = (
       select id from incidents
       where kind = 'revert' and verification is null and to_epoch > from_epoch and committed_at is not null
         and (verifying_until is null or verifying_until < $1)
       order by opened_at limit 1 for update skip locked)
     returning ${COLUMNS}`,
    [new Date(now), new Date(until)],
  )
  return rows[0] === undefined ? undefined : toRevert(rows[0])
}

/** Holds it for longer; undefined where it is verified already. */
export async function keepClaim(
  on: Queryable,
  id: string,
  until: number,
): Promise<UnverifiedRevert | undefined> {
  const { rows } = await on.query<Row>(
    `update incidents set verifying_until = $2 where id = $1 and verification is null returning ${COLUMNS}`,
    [id, new Date(until)],
  )
  return rows[0] === undefined ? undefined : toRevert(rows[0])
}

/** Lets go of what was not finished. */
export async function releaseClaim(on: Queryable, id: string): Promise<void> {
  await on.query('update incidents set verifying_until = null where id = $1 and verification is null', [id])
}

/** Keeps what came of it; false where another was quicker. */
export async function saveVerification(
  tx: Queryable,
  id: string,
  verification: Verification,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    'update incidents set verification = $2, verifying_until = null where id = $1 and verification is null',
    [id, verification],
  )
  return rowCount === 1
}

interface Row {
  readonly id: string
  readonly migration: string
  readonly committed_at: Date
  readonly last_ack_at: Date | null
}

const COLUMNS = 'id, migration, committed_at, last_ack_at'
const toRevert = (row: Row): UnverifiedRevert => ({
  id: row.id,
  migration: row.migration,
  committedAt: row.committed_at.getTime(),
  lastAckAt: row.last_ack_at?.getTime(),
})
