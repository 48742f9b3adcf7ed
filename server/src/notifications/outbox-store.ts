import type { Queryable } from '../db/db.ts'
import type { Notice } from './notice.ts'

/** One notice to one channel. Times are Unix milliseconds. */
export interface Notification {
  readonly id: string
  /** Name of the channel. */
  readonly channel: string
  readonly recipient?: string
  readonly notice: Notice
  readonly status: 'pending' | 'sent' | 'failed'
  readonly attempts: number
  readonly error?: string
  readonly createdAt: number
  readonly sentAt?: number
}

export interface NewNotification {
  readonly id: string
  /** What makes it the same: it is kept once. */
  readonly key: string
  /** Id of the channel. */
  readonly channel: string
  readonly recipient?: string | undefined
  readonly notice: Notice
}

export async function enqueue(tx: Queryable, notification: NewNotification, now: number): Promise<void> {
  const { id, key, channel, recipient, notice } = notification
  await tx.query(
    `insert into notifications (id, key, channel, recipient, notice, incident, next_at, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (key) do nothing`,
    [id, key, channel, recipient ?? null, notice, notice.incident ?? null, new Date(now)],
  )
}

export interface DueNotification {
  readonly id: string
  readonly channel: string
  readonly recipient: string | null
  readonly notice: Notice
  readonly attempts: number
}

/**
 * Takes one that is due, for as long as an attempt may last: if this server dies, another takes it then. What is told
 * about one incident waits for what came before it: a pager that hears "resolved" first would open it for good.
 */
export async function takeDue(
  on: Queryable,
  now: number,
  leaseMs: number,
): Promise<DueNotification | undefined> {
  const { rows } = await on.query<DueNotification>(
    `update notifications set attempts = attempts + 1, next_at = $2
     where id = (select n.id from notifications n where n.status = 'pending' and n.next_at <= $1
                   and not exists (select from notifications earlier where earlier.status = 'pending'
                     and earlier.channel = n.channel and earlier.incident = n.incident and earlier.seq < n.seq
                     and earlier.recipient is not distinct from n.recipient)
                 order by n.next_at, n.seq limit 1 for update of n skip locked)
     returning id, channel, recipient, notice, attempts`,
    [new Date(now), new Date(now + leaseMs)],
  )
  return rows[0]
}

export async function markSent(on: Queryable, id: string, now: number): Promise<void> {
  await on.query(`update notifications set status = 'sent', sent_at = $2, error = null where id = $1`, [
    id,
    new Date(now),
  ])
}

/** @param nextAt undefined: it is given up */
export async function markFailed(
  on: Queryable,
  id: string,
  error: string,
  nextAt: number | undefined,
): Promise<void> {
  await on.query(
    `update notifications set error = $2, next_at = coalesce($3, next_at),
       status = case when $3::timestamptz is null then 'failed' else 'pending' end where id = $1`,
    [id, error.slice(0, 500), nextAt === undefined ? null : new Date(nextAt)],
  )
}

/** Sends one that was given up again; false where there is no such. */
export async function retryNotification(on: Queryable, id: string, now: number): Promise<boolean> {
  const { rowCount } = await on.query(
    `update notifications set status = 'pending', attempts = 0, next_at = $2 where id = $1 and status = 'failed'`,
    [id, new Date(now)],
  )
  return rowCount === 1
}

/** Newest first. */
export async function listNotifications(
  on: Queryable,
  filter: {
    readonly status?: Notification['status']
    readonly incident?: string
    /** Only notices about these migrations. */
    readonly scope?: readonly string[]
    readonly limit: number
  },
): Promise<readonly Notification[]> {
  const { rows } = await on.query<{
    id: string
    name: string
    recipient: string | null
    notice: Notice
    status: Notification['status']
    attempts: number
    error: string | null
    created_at: Date
    sent_at: Date | null
  }>(
    `select n.*, c.name from notifications n join channels c on c.id = n.channel
     where ($1::text is null or n.status = $1) and ($2::text is null or n.incident = $2)
       and ($4::text[] is null or n.notice ->> 'migration' = any($4))
     order by n.created_at desc, n.id desc limit $3`,
    [filter.status ?? null, filter.incident ?? null, filter.limit, filter.scope ?? null],
  )
  return rows.map(({ id, name, recipient, notice, status, attempts, error, created_at, sent_at }) => ({
    id,
    channel: name,
    notice,
    status,
    attempts,
    createdAt: created_at.getTime(),
    ...(recipient === null ? {} : { recipient }),
    ...(error === null ? {} : { error }),
    ...(sent_at === null ? {} : { sentAt: sent_at.getTime() }),
  }))
}
