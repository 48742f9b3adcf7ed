import type { Signal, SignalAction, SignalReason } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'

/** An alert as it was received, and what came of it. Times are Unix milliseconds. */
export interface StoredAlert {
  readonly id: string
  readonly status: 'received' | 'decided'
  readonly signal: Signal
  readonly receivedAt: number
  readonly migration?: string
  readonly action?: SignalAction
  readonly reason?: SignalReason
  readonly explanation?: string
  readonly incident?: string
  /** How often the same delivery came again. */
  readonly duplicates: number
  readonly decidedAt?: number
}

export interface ReceivedAlert {
  readonly id: string
  readonly signal: Signal
  /** Id of the sender's token. */
  readonly token: string
  readonly scope?: readonly string[]
}

export interface Delivery {
  readonly id: string
  readonly duplicate: boolean
}

export interface OpenAlert {
  readonly id: string
  readonly signal: Signal
  readonly scope: readonly string[] | undefined
}

export interface AlertOutcome {
  readonly migration?: string
  readonly action: SignalAction
  readonly reason: SignalReason
  readonly explanation: string
  readonly incident?: string
}

/**
 * Keeps a delivery, in a statement of its own, before anything is made of it. The same key again counts as
 * a duplicate; if what it asked for was refused the first time and it still fires, it is decided anew.
 */
export async function insertAlert(on: Queryable, alert: ReceivedAlert): Promise<Delivery> {
  const { id, signal, token, scope } = alert
  const { rows } = await on.query<{ id: string; duplicates: number }>(
    `insert into alerts (id, source, dedup_key, token, received_at, signal, scope)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (source, dedup_key) do update
       set duplicates = alerts.duplicates + 1,
           status = case when alerts.reason = 'refused' then 'received' else alerts.status end
     returning id, duplicates`,
    [id, signal.source, signal.dedupKey, token, new Date(signal.receivedAt), signal, scope ?? null],
  )
  const row = rows[0]
  if (row === undefined) throw new Error('the store kept no alert')
  return { id: row.id, duplicate: row.duplicates > 0 }
}

/** The oldest alert that nobody else works on, locked until the transaction ends. */
export async function claimAlert(tx: Queryable, except: readonly string[]): Promise<OpenAlert | undefined> {
  const { rows } = await tx.query<{ id: string; signal: Signal; scope: readonly string[] | null }>(
    `select id, signal, scope from alerts where status = 'received' and id <> all($1)
     order by received_at, id limit 1 for update skip locked`,
    [except],
  )
  const row = rows[0]
  return row === undefined ? undefined : { id: row.id, signal: row.signal, scope: row.scope ?? undefined }
}

export async function saveOutcome(
  tx: Queryable,
  id: string,
  outcome: AlertOutcome,
  at: number,
): Promise<void> {
  await tx.query(
    `update alerts set status = 'decided', migration = $2, action = $3, reason = $4, explanation = $5,
       incident = $6, decided_at = $7 where id = $1`,
    [
      id,
      outcome.migration ?? null,
      outcome.action,
      outcome.reason,
      outcome.explanation,
      outcome.incident ?? null,
      new Date(at),
    ],
  )
}

interface Row {
  readonly id: string
  readonly status: StoredAlert['status']
  readonly signal: Signal
  readonly received_at: Date
  readonly migration: string | null
  readonly action: SignalAction | null
  readonly reason: SignalReason | null
  readonly explanation: string | null
  readonly incident: string | null
  readonly duplicates: number
  readonly decided_at: Date | null
}

const COLUMNS =
  'id, status, signal, received_at, migration, action, reason, explanation, incident, duplicates, decided_at'

const toAlert = (row: Row): StoredAlert => ({
  id: row.id,
  status: row.status,
  signal: row.signal,
  receivedAt: row.received_at.getTime(),
  duplicates: row.duplicates,
  ...(row.migration === null ? {} : { migration: row.migration }),
  ...(row.action === null ? {} : { action: row.action }),
  ...(row.reason === null ? {} : { reason: row.reason }),
  ...(row.explanation === null ? {} : { explanation: row.explanation }),
  ...(row.incident === null ? {} : { incident: row.incident }),
  ...(row.decided_at === null ? {} : { decidedAt: row.decided_at.getTime() }),
})

export interface AlertFilter {
  readonly migration?: string
  readonly action?: SignalAction
  readonly limit: number
}

/** Newest first. */
export async function listAlerts(on: Queryable, filter: AlertFilter): Promise<readonly StoredAlert[]> {
  const { rows } = await on.query<Row>(
    `select ${COLUMNS} from alerts
     where ($1::text is null or migration = $1) and ($2::text is null or action = $2)
     order by received_at desc, id desc limit $3`,
    [filter.migration ?? null, filter.action ?? null, filter.limit],
  )
  return rows.map(toAlert)
}

export async function findAlert(on: Queryable, id: string): Promise<StoredAlert | undefined> {
  const { rows } = await on.query<Row>(`select ${COLUMNS} from alerts where id = $1`, [id])
  return rows[0] === undefined ? undefined : toAlert(rows[0])
}
