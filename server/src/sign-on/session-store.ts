import type { Queryable } from '../db/db.ts'
import type { Credentials } from './decide-role.ts'

/** A session as the store holds it. Times are Unix milliseconds. */
export interface StoredSession {
  readonly id: string
  readonly identity: string
  readonly issuer: string
  readonly name: string
  readonly credentials: Credentials
  /** Sealed. */
  readonly hint?: string
  readonly startedAt: number
  readonly usedAt: number
  readonly expiresAt: number
}

/** Use is written down at most this often, so that a busy session costs no write per request. */
const TOUCH_EVERY_MS = 60_000
/** How long what is over stays to be looked up; the audit log keeps it for good. */
const KEPT_MS = 30 * 86_400_000

interface Row {
  readonly id: string
  readonly identity: string
  readonly issuer: string
  readonly name: string
  readonly email: string | null
  readonly email_verified: boolean | null
  readonly groups: readonly string[]
  readonly hint: string | null
  readonly started_at: Date
  readonly used_at: Date
  readonly expires_at: Date
}

const SELECT = `select s.id, s.identity, i.issuer, i.name, s.email, s.email_verified, s.groups, s.hint,
  s.started_at, s.used_at, s.expires_at from sessions s join identities i on i.id = s.identity`

const toSession = (row: Row): StoredSession => ({
  id: row.id,
  identity: row.identity,
  issuer: row.issuer,
  name: row.name,
  credentials: {
    groups: row.groups,
    ...(row.email === null ? {} : { email: row.email }),
    ...(row.email_verified === null ? {} : { emailVerified: row.email_verified }),
  },
  startedAt: row.started_at.getTime(),
  usedAt: row.used_at.getTime(),
  expiresAt: row.expires_at.getTime(),
  ...(row.hint === null ? {} : { hint: row.hint }),
})

export interface NewSession {
  readonly id: string
  readonly hash: string
  readonly identity: string
  readonly credentials: Credentials
  readonly hint: string
  readonly at: number
  readonly expiresAt: number
}

export async function insertSession(tx: Queryable, session: NewSession): Promise<void> {
  const { email, emailVerified, groups } = session.credentials
  await tx.query('delete from sessions where expires_at < $1', [new Date(session.at - KEPT_MS)])
  await tx.query(
    `insert into sessions (id, hash, identity, email, email_verified, groups, hint, started_at, used_at, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)`,
    [
      session.id,
      session.hash,
      session.identity,
      email ?? null,
      emailVerified ?? null,
      groups,
      session.hint,
      new Date(session.at),
      new Date(session.expiresAt),
    ],
  )
}

/** Which sessions hold: neither ended, nor too old, nor too long unused. */
export interface Holding {
  readonly now: number
  readonly idleMs: number
}

const HOLDS = 's.ended_at is null and s.expires_at > $1 and s.used_at > $2'
const bounds = ({ now, idleMs }: Holding): readonly Date[] => [new Date(now), new Date(now - idleMs)]

export async function findSession(
  on: Queryable,
  hash: string,
  holding: Holding,
): Promise<StoredSession | undefined> {
  const { rows } = await on.query<Row>(`${SELECT} where ${HOLDS} and s.hash = $3`, [...bounds(holding), hash])
  return rows[0] === undefined ? undefined : toSession(rows[0])
}

export async function listSessions(on: Queryable, holding: Holding): Promise<readonly StoredSession[]> {
  const { rows } = await on.query<Row>(
    `${SELECT} where ${HOLDS} order by s.started_at desc, s.id limit 1000`,
    [...bounds(holding)],
  )
  return rows.map(toSession)
}

export async function touchSession(on: Queryable, id: string, now: number): Promise<void> {
  await on.query('update sessions set used_at = $2 where id = $1 and used_at <= $3', [
    id,
    new Date(now),
    new Date(now - TOUCH_EVERY_MS),
  ])
}

/** Ends a session; undefined where there is none that could be ended. */
export async function endSession(
  tx: Queryable,
  id: string,
  holding: Holding,
): Promise<StoredSession | undefined> {
  const { rows } = await tx.query<Row>(`${SELECT} where ${HOLDS} and s.id = $3 for update of s`, [
    ...bounds(holding),
    id,
  ])
  if (rows[0] === undefined) return undefined
  await tx.query('update sessions set ended_at = $2, hint = null where id = $1', [id, new Date(holding.now)])
  return toSession(rows[0])
}
