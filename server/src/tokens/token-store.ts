import type { Queryable } from '../db/db.ts'
import type { Role } from './permissions.ts'

/** A token as it may be shown: never its text. Times are Unix milliseconds. */
export interface TokenInfo {
  readonly id: string
  readonly name: string
  readonly role: Role
  /** Migrations that it is for; undefined: all. */
  readonly migrations?: readonly string[]
  readonly createdAt: number
  readonly createdBy: string
  readonly expiresAt?: number
  readonly lastUsedAt?: number
  readonly revokedAt?: number
}

/** Last use is written down at most this often, so that a busy token costs no write per request. */
const TOUCH_EVERY_MS = 60_000

interface Row {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly migrations: readonly string[] | null
  readonly created_at: Date
  readonly created_by: string
  readonly expires_at: Date | null
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
}

const COLUMNS = 'id, name, role, migrations, created_at, created_by, expires_at, last_used_at, revoked_at'

const toInfo = (row: Row): TokenInfo => ({
  id: row.id,
  name: row.name,
  role: row.role,
  createdAt: row.created_at.getTime(),
  createdBy: row.created_by,
  ...(row.migrations === null ? {} : { migrations: row.migrations }),
  ...(row.expires_at === null ? {} : { expiresAt: row.expires_at.getTime() }),
  ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at.getTime() }),
  ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at.getTime() }),
})

export async function insertToken(
  tx: Queryable,
  token: TokenInfo,
  hash: string,
  person?: string,
): Promise<void> {
  await tx.query(
    `insert into tokens (id, name, role, hash, migrations, created_at, created_by, expires_at, person)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      token.id,
      token.name,
      token.role,
      hash,
      token.migrations ?? null,
      new Date(token.createdAt),
      token.createdBy,
      token.expiresAt === undefined ? null : new Date(token.expiresAt),
      person ?? null,
    ],
  )
}

/** A token with who was signed in when it was made: that person knows its text. */
interface FoundToken extends TokenInfo {
  readonly person?: string
}

/** The token of this hash, unless it is revoked or expired. Comparing hashes in an index tells nothing of
 *  the token by its timing: who knows a hash's first bytes knows nothing of a text that makes them. */
export async function findByHash(on: Queryable, hash: string, now: number): Promise<FoundToken | undefined> {
  const { rows } = await on.query<Row & { person: string | null }>(
    `select ${COLUMNS}, person from tokens
     where hash = $1 and revoked_at is null and (expires_at is null or expires_at > $2)`,
    [hash, new Date(now)],
  )
  const row = rows[0]
  if (row === undefined) return undefined
  return { ...toInfo(row), ...(row.person === null ? {} : { person: row.person }) }
}

export async function touchToken(on: Queryable, id: string, now: number): Promise<void> {
  await on.query(
    'update tokens set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at <= $3)',
    [id, new Date(now), new Date(now - TOUCH_EVERY_MS)],
  )
}

export async function listTokens(on: Queryable): Promise<readonly TokenInfo[]> {
  const { rows } = await on.query<Row>(`select ${COLUMNS} from tokens order by created_at, id`)
  return rows.map(toInfo)
}

export async function revokeToken(tx: Queryable, id: string, at: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    'update tokens set revoked_at = $2 where id = $1 and revoked_at is null',
    [id, new Date(at)],
  )
  return rowCount === 1
}

/** Whether somebody can still administer this store. */
export async function hasAdmin(tx: Queryable, now: number): Promise<boolean> {
  const { rows } = await tx.query(
    `select from tokens where role = 'admin' and revoked_at is null and (expires_at is null or expires_at > $1) limit 1`,
    [new Date(now)],
  )
  return rows.length > 0
}

/** Tokens made by `creator` that are still good, with another hash. */
export async function othersBy(tx: Queryable, creator: string, hash: string): Promise<readonly string[]> {
  const { rows } = await tx.query<{ id: string }>(
    'select id from tokens where created_by = $1 and hash <> $2 and revoked_at is null',
    [creator, hash],
  )
  return rows.map((row) => row.id)
}

/** Whether a hash is taken, by a revoked token too. */
export async function isKnown(tx: Queryable, hash: string): Promise<boolean> {
  const { rows } = await tx.query('select from tokens where hash = $1', [hash])
  return rows.length > 0
}
