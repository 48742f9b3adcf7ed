import type { Queryable } from '../db/db.ts'
import type { SourceSettings } from '../receivers/receiver.ts'
import type { SourceKind } from '../receivers/receivers.ts'

/** An alerting system as it may be shown. Times are Unix milliseconds. */
export interface AlertSource {
  readonly id: string
  readonly name: string
  readonly kind: SourceKind
  readonly settings: SourceSettings
  /** Migrations that it may speak for; undefined: all. */
  readonly migrations?: readonly string[]
  readonly createdAt: number
  readonly createdBy: string
  readonly lastUsedAt?: number
  readonly revokedAt?: number
  /** Newest first; at most two are good at once. */
  readonly secrets: readonly SecretInfo[]
}

export interface SecretInfo {
  readonly id: string
  readonly createdAt: number
  readonly createdBy: string
}

export interface StoredSecret extends SecretInfo {
  readonly kind: 'hash' | 'sealed'
  readonly value: string
}

const TOUCH_EVERY_MS = 60_000

interface Row {
  readonly id: string
  readonly name: string
  readonly kind: SourceKind
  readonly settings: SourceSettings
  readonly migrations: readonly string[] | null
  readonly created_at: Date
  readonly created_by: string
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
  readonly secrets: readonly (Omit<StoredSecret, 'createdAt'> & { readonly createdAt: number })[] | null
}

const SELECT = `select s.*, (
    select json_agg(json_build_object('id', k.id, 'kind', k.kind, 'value', k.value, 'createdBy', k.created_by,
      'createdAt', (extract(epoch from k.created_at) * 1000)::bigint) order by k.created_at desc, k.id desc)
    from alert_source_secrets k where k.source = s.id) as secrets
  from alert_sources s`

export interface FoundSource {
  readonly source: AlertSource
  readonly secrets: readonly StoredSecret[]
}

const toFound = (row: Row): FoundSource => {
  const secrets = row.secrets ?? []
  return {
    secrets,
    source: {
      id: row.id,
      name: row.name,
      kind: row.kind,
      settings: row.settings,
      createdAt: row.created_at.getTime(),
      createdBy: row.created_by,
      secrets: secrets.map(({ id, createdAt, createdBy }) => ({ id, createdAt, createdBy })),
      ...(row.migrations === null ? {} : { migrations: row.migrations }),
      ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at.getTime() }),
      ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at.getTime() }),
    },
  }
}

/** By name, unless it is revoked. */
export async function findSource(on: Queryable, name: string): Promise<FoundSource | undefined> {
  const { rows } = await on.query<Row>(`${SELECT} where s.name = $1 and s.revoked_at is null`, [name])
  return rows[0] === undefined ? undefined : toFound(rows[0])
}

export async function findSourceById(on: Queryable, id: string): Promise<FoundSource | undefined> {
  const { rows } = await on.query<Row>(`${SELECT} where s.id = $1`, [id])
  return rows[0] === undefined ? undefined : toFound(rows[0])
}

export async function listSources(on: Queryable): Promise<readonly AlertSource[]> {
  const { rows } = await on.query<Row>(`${SELECT} order by s.created_at, s.id`)
  return rows.map((row) => toFound(row).source)
}

/** False where the name is taken. */
export async function insertSource(tx: Queryable, source: Omit<AlertSource, 'secrets'>): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into alert_sources (id, name, kind, settings, migrations, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
    [
      source.id,
      source.name,
      source.kind,
      source.settings,
      source.migrations ?? null,
      new Date(source.createdAt),
      source.createdBy,
    ],
  )
  return rowCount === 1
}

/** Adds a secret; of those that were there, only the newest stays good. */
export async function addSecret(tx: Queryable, source: string, secret: StoredSecret): Promise<void> {
  await tx.query(
    `delete from alert_source_secrets where source = $1 and id not in (
       select id from alert_source_secrets where source = $1 order by created_at desc, id desc limit 1)`,
    [source],
  )
  await tx.query(
    `insert into alert_source_secrets (id, source, kind, value, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6)`,
    [secret.id, source, secret.kind, secret.value, new Date(secret.createdAt), secret.createdBy],
  )
}

export async function removeSecret(tx: Queryable, source: string, secret: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from alert_source_secrets where source = $1 and id = $2', [
    source,
    secret,
  ])
  return rowCount === 1
}

/** Ends a source; its secrets go for good. */
export async function revokeSource(tx: Queryable, id: string, at: number): Promise<void> {
  await tx.query('update alert_sources set revoked_at = $2 where id = $1', [id, new Date(at)])
  await tx.query('delete from alert_source_secrets where source = $1', [id])
}

export async function touchSource(on: Queryable, id: string, now: number): Promise<void> {
  await on.query(
    'update alert_sources set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at <= $3)',
    [id, new Date(now), new Date(now - TOUCH_EVERY_MS)],
  )
}
