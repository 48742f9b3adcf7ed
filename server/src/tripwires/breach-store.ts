import type { TripwireVerdict, VerdictNumbers } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'

/** One time that a tripwire was breached. Times are Unix milliseconds. */
export interface Breach {
  readonly id: number
  readonly tripwire: string
  readonly epoch: number
  /** What was done about it, or would have been in a dry run. */
  readonly action: string
  readonly reason: string
  readonly explanation: string
  readonly numbers: VerdictNumbers
  readonly incident?: string
  readonly beganAt: number
  readonly endedAt?: number
}

export interface NewBreach {
  readonly migration: string
  readonly epoch: number
  readonly verdict: Pick<TripwireVerdict, 'name' | 'reason' | 'explanation' | 'numbers'>
  readonly action: string
  readonly incident?: string
  readonly at: number
  /** For what is over as soon as it was acted upon. */
  readonly ended?: boolean
}

/** Writes a breach down; false where it is going on already. */
export async function insertBreach(tx: Queryable, breach: NewBreach): Promise<boolean> {
  const { migration, epoch, verdict, action, incident, at, ended = false } = breach
  const { rowCount } = await tx.query(
    `insert into breaches (migration, tripwire, epoch, action, reason, explanation, numbers, incident, began_at, ended_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (migration, tripwire) where ended_at is null do nothing`,
    [
      migration,
      verdict.name,
      epoch,
      action,
      verdict.reason,
      verdict.explanation,
      verdict.numbers,
      incident ?? null,
      new Date(at),
      ended ? new Date(at) : null,
    ],
  )
  return rowCount === 1
}

export async function endBreach(
  on: Queryable,
  migration: string,
  tripwire: string,
  at: number,
): Promise<void> {
  await on.query(
    'update breaches set ended_at = $3 where migration = $1 and tripwire = $2 and ended_at is null',
    [migration, tripwire, new Date(at)],
  )
}

/** Breaches that go on, as `migration` and `tripwire`. */
export async function openBreaches(
  on: Queryable,
): Promise<readonly { readonly migration: string; readonly tripwire: string }[]> {
  const { rows } = await on.query<{ migration: string; tripwire: string }>(
    'select migration, tripwire from breaches where ended_at is null',
  )
  return rows
}

interface Row {
  readonly id: number
  readonly tripwire: string
  readonly epoch: number
  readonly action: string
  readonly reason: string
  readonly explanation: string
  readonly numbers: VerdictNumbers
  readonly incident: string | null
  readonly began_at: Date
  readonly ended_at: Date | null
}

/** Newest first. */
export async function listBreaches(
  on: Queryable,
  migration: string,
  limit: number,
): Promise<readonly Breach[]> {
  const { rows } = await on.query<Row>(
    `select id, tripwire, epoch, action, reason, explanation, numbers, incident, began_at, ended_at
     from breaches where migration = $1 order by id desc limit $2`,
    [migration, limit],
  )
  return rows.map(({ incident, began_at, ended_at, ...row }) => ({
    ...row,
    beganAt: began_at.getTime(),
    ...(incident === null ? {} : { incident }),
    ...(ended_at === null ? {} : { endedAt: ended_at.getTime() }),
  }))
}
