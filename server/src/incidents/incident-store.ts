import type { Phase, RevertCause } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import type { Verification } from '../verification/verification-store.ts'

/** One revert, as it is told afterwards. Times are Unix milliseconds. */
export interface Incident {
  readonly id: string
  readonly migration: string
  readonly status: 'open' | 'resolved'
  /** `refused`: an automatic revert that was not safe; nothing has changed, and a person has to see to it. */
  readonly kind: 'revert' | 'refused'
  readonly title: string
  readonly cause: RevertCause
  readonly from: { readonly phase: Phase; readonly epoch: number }
  readonly to: { readonly phase: Phase; readonly epoch: number }
  /** When the alert was received; undefined for reverts by hand. */
  readonly alertedAt?: number
  readonly openedAt: number
  readonly committedAt?: number
  /** When the first and the last live instance told that they had applied it. */
  readonly firstAckAt?: number
  readonly lastAckAt?: number
  readonly resolvedAt?: number
  /** When somebody said to see to it, and who. */
  readonly ackedAt?: number
  readonly ackedBy?: string
  /** When what caused it began, where that is known. */
  readonly beganAt?: number
  /** Whether the revert has helped; undefined until that is known. */
  readonly verification?: Verification
  readonly alertToCommitMs?: number
  readonly alertToLastAckMs?: number
}

export interface IncidentEvent {
  readonly at: number
  readonly kind: string
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
}

interface Row {
  readonly id: string
  readonly migration: string
  readonly status: 'open' | 'resolved'
  readonly kind: Incident['kind']
  readonly title: string
  readonly cause: RevertCause
  readonly from_phase: Phase
  readonly to_phase: Phase
  readonly from_epoch: number
  readonly to_epoch: number
  readonly alerted_at: Date | null
  readonly opened_at: Date
  readonly committed_at: Date | null
  readonly first_ack_at: Date | null
  readonly last_ack_at: Date | null
  readonly resolved_at: Date | null
  readonly acked_at: Date | null
  readonly acked_by: string | null
  readonly began_at: Date | null
  readonly verification: Verification | null
}

const COLUMNS = `id, migration, status, kind, title, cause, from_phase, to_phase, from_epoch, to_epoch, alerted_at,
  opened_at, committed_at, first_ack_at, last_ack_at, resolved_at, verification, acked_at, acked_by, began_at`

function toIncident(row: Row): Incident {
  const alerted = row.alerted_at?.getTime()
  const committed = row.committed_at?.getTime()
  const lastAck = row.last_ack_at?.getTime()
  return {
    id: row.id,
    migration: row.migration,
    status: row.status,
    kind: row.kind,
    title: row.title,
    cause: row.cause,
    from: { phase: row.from_phase, epoch: row.from_epoch },
    to: { phase: row.to_phase, epoch: row.to_epoch },
    openedAt: row.opened_at.getTime(),
    ...(alerted === undefined ? {} : { alertedAt: alerted }),
    ...(committed === undefined ? {} : { committedAt: committed }),
    ...(row.first_ack_at === null ? {} : { firstAckAt: row.first_ack_at.getTime() }),
    ...(lastAck === undefined ? {} : { lastAckAt: lastAck }),
    ...(row.acked_at === null ? {} : { ackedAt: row.acked_at.getTime() }),
    ...(row.acked_by === null ? {} : { ackedBy: row.acked_by }),
    ...(row.began_at === null ? {} : { beganAt: row.began_at.getTime() }),
    ...(row.resolved_at === null ? {} : { resolvedAt: row.resolved_at.getTime() }),
    ...(row.verification === null ? {} : { verification: row.verification }),
    ...(alerted === undefined || committed === undefined ? {} : { alertToCommitMs: committed - alerted }),
    ...(alerted === undefined || lastAck === undefined ? {} : { alertToLastAckMs: lastAck - alerted }),
  }
}

export async function insertIncident(
  tx: Queryable,
  incident: Omit<Incident, 'status' | 'alertToCommitMs' | 'alertToLastAckMs'>,
): Promise<boolean> {
  const { id, migration, kind, title, cause, from, to, openedAt, committedAt, alertedAt } = incident
  const { rowCount } = await tx.query(
    `insert into incidents (id, migration, status, title, cause, from_phase, to_phase, from_epoch, to_epoch,
       opened_at, committed_at, alerted_at, kind)
     values ($1, $2, 'open', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     on conflict (migration, from_epoch) where kind = 'refused' and status = 'open' do nothing`,
    [
      id,
      migration,
      title,
      cause,
      from.phase,
      to.phase,
      from.epoch,
      to.epoch,
      new Date(openedAt),
      committedAt === undefined ? null : new Date(committedAt),
      alertedAt === undefined ? null : new Date(alertedAt),
      kind,
    ],
  )
  return rowCount === 1
}

/** The open incident of a refused revert from this epoch. */
export async function findRefused(
  on: Queryable,
  migration: string,
  epoch: number,
): Promise<string | undefined> {
  const { rows } = await on.query<{ id: string }>(
    `select id from incidents where migration = $1 and from_epoch = $2 and kind = 'refused' and status = 'open'`,
    [migration, epoch],
  )
  return rows[0]?.id
}

/** Adds to the timeline; does nothing where the incident is unknown. */
export async function addEvent(tx: Queryable, incident: string, event: IncidentEvent): Promise<void> {
  await tx.query(
    `insert into incident_events (incident, at, kind, message, detail)
     select id, $2, $3, $4, $5 from incidents where id = $1`,
    [incident, new Date(event.at), event.kind, event.message, event.detail],
  )
}

export async function findIncident(on: Queryable, id: string): Promise<Incident | undefined> {
  const { rows } = await on.query<Row>(`select ${COLUMNS} from incidents where id = $1`, [id])
  return rows[0] === undefined ? undefined : toIncident(rows[0])
}

export async function incidentsOf(
  on: Queryable,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Incident>> {
  if (ids.length === 0) return new Map()
  const { rows } = await on.query<Row>(`select ${COLUMNS} from incidents where id = any($1)`, [ids])
  return new Map(rows.map((row) => [row.id, toIncident(row)]))
}

/** Notes who sees to it; false where somebody does already, or there is no such incident. */
export async function setAcknowledged(tx: Queryable, id: string, by: string, at: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    'update incidents set acked_at = $3, acked_by = $2 where id = $1 and acked_at is null',
    [id, by, new Date(at)],
  )
  return rowCount === 1
}

/** Notes when what caused it began, once. */
export async function setBegan(tx: Queryable, id: string, at: number): Promise<void> {
  await tx.query('update incidents set began_at = coalesce(began_at, $2) where id = $1', [id, new Date(at)])
}

export interface IncidentFilter {
  readonly migration?: string
  readonly status?: Incident['status']
  /** Only incidents of these migrations. */
  readonly scope?: readonly string[]
  readonly limit: number
}

export async function listIncidents(on: Queryable, filter: IncidentFilter): Promise<readonly Incident[]> {
  const { rows } = await on.query<Row>(
    `select ${COLUMNS} from incidents
     where ($1::text is null or migration = $1) and ($2::text is null or status = $2)
       and ($4::text[] is null or migration = any($4))
     order by opened_at desc, id desc limit $3`,
    [filter.migration ?? null, filter.status ?? null, filter.limit, filter.scope ?? null],
  )
  return rows.map(toIncident)
}

export async function timelineOf(on: Queryable, incident: string): Promise<readonly IncidentEvent[]> {
  const { rows } = await on.query<{
    at: Date
    kind: string
    message: string
    detail: Record<string, unknown>
  }>('select at, kind, message, detail from incident_events where incident = $1 order by at, seq', [incident])
  return rows.map((row) => ({ ...row, at: row.at.getTime() }))
}

/** Open incidents of these migrations that not every live instance has acked yet. */
export async function awaitingAcks(
  on: Queryable,
  migrations: readonly string[],
): Promise<readonly { id: string; migration: string; to_epoch: number; first: boolean }[]> {
  const { rows } = await on.query<{ id: string; migration: string; to_epoch: number; first: boolean }>(
    `select id, migration, to_epoch, first_ack_at is null as first from incidents
     where status = 'open' and last_ack_at is null and to_epoch > from_epoch and migration = any($1)`,
    [migrations],
  )
  return rows
}

/** Sets the time once; false where another server was quicker. */
export async function setAck(
  tx: Queryable,
  id: string,
  which: 'first_ack_at' | 'last_ack_at',
  at: number,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update incidents set ${which} = $2 where id = $1 and ${which} is null`,
    [id, new Date(at)],
  )
  return rowCount === 1
}

/** Notes the alert behind a revert, and when its commit was known to be done where that is known. */
export async function setAlerted(
  tx: Queryable,
  id: string,
  alertedAt: number,
  committedAt: number | undefined,
): Promise<void> {
  await tx.query(
    'update incidents set alerted_at = $2, committed_at = coalesce($3, committed_at) where id = $1',
    [id, new Date(alertedAt), committedAt === undefined ? null : new Date(committedAt)],
  )
}

export async function resolveOpen(tx: Queryable, migration: string, at: number): Promise<readonly string[]> {
  const { rows } = await tx.query<{ id: string }>(
    `update incidents set status = 'resolved', resolved_at = $2 where migration = $1 and status = 'open' returning id`,
    [migration, new Date(at)],
  )
  return rows.map((row) => row.id)
}
