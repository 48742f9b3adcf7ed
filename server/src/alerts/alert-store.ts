import type { Signal, SignalAction, SignalReason } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'

/** An alert as it was received, and what came of it. Times are Unix milliseconds. */
export interface StoredAlert {
  readonly id: string
  /** `dead`: nobody could decide or read it; kept to be replayed. */
  readonly status: 'received' | 'decided' | 'dead'
  readonly signal: Signal
  readonly receivedAt: number
  readonly migration?: string
  readonly action?: SignalAction
  readonly reason?: SignalReason
  readonly explanation?: string
  readonly incident?: string
  /** How often the same delivery came again. */
  readonly duplicates: number
  /** How often deciding about it failed, and what failed last. */
  readonly attempts: number
  readonly error?: string
  readonly decidedAt?: number
}

export interface ReceivedAlert {
  readonly id: string
  readonly signal: Signal
}

/** Who delivered. */
export interface Sender {
  /** Id of the token or of the alert source. */
  readonly id: string
  readonly migrations?: readonly string[]
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

/** What is inserted by one statement. */
const AT_ONCE = 500

/**
 * Keeps deliveries before anything is made of them. The same key again counts as a duplicate; if what it asked for
 * was refused the first time, or could not be decided, and it still fires, it is decided anew.
 */
export async function insertAlerts(
  on: Queryable,
  alerts: readonly ReceivedAlert[],
  { id: token, migrations }: Sender,
): Promise<readonly Delivery[]> {
  const known = new Map<string, Delivery>()
  // In the order of their keys, as everybody does, or two deliveries of the same alerts wait for each other.
  const distinct = [...new Map(alerts.map((alert) => [keyOf(alert.signal), alert])).entries()].sort(
    ([a], [b]) => (a < b ? -1 : 1),
  )
  for (let from = 0; from < distinct.length; from += AT_ONCE) {
    const batch = distinct.slice(from, from + AT_ONCE).map(([, alert]) => alert)
    const { rows } = await on.query<{ id: string; source: string; dedup_key: string; duplicates: number }>(
      `insert into alerts (id, source, dedup_key, token, received_at, signal, scope)
       select id, source, dedup_key, $5, to_timestamp(received / 1000.0), signal, $6
       from unnest($1::text[], $2::text[], $3::float8[], $4::jsonb[], $7::text[])
         as given (id, source, received, signal, dedup_key)
       on conflict (source, dedup_key) do update
         set duplicates = alerts.duplicates + 1, last_at = excluded.received_at,
             status = case when alerts.reason = 'refused' or alerts.status = 'dead' and alerts.raw is null
               then 'received' else alerts.status end,
             attempts = case when alerts.status = 'dead' then 0 else alerts.attempts end, next_at = null
       returning id, source, dedup_key, duplicates`,
      [
        batch.map(({ id }) => id),
        batch.map(({ signal }) => signal.source),
        batch.map(({ signal }) => signal.receivedAt),
        batch.map(({ signal }) => JSON.stringify(signal)),
        token,
        migrations ?? null,
        batch.map(({ signal }) => signal.dedupKey),
      ],
    )
    for (const { id, source, dedup_key: dedupKey, duplicates } of rows) {
      known.set(keyOf({ source, dedupKey }), { id, duplicate: duplicates > 0 })
    }
  }
  return alerts.map(({ id, signal }) => {
    const kept = known.get(keyOf(signal))
    if (kept === undefined) throw new Error('the store kept no alert')
    return { id: kept.id, duplicate: kept.duplicate || (kept.id !== id && alerts.length > distinct.length) }
  })
}

const keyOf = ({ source, dedupKey }: Pick<Signal, 'source' | 'dedupKey'>): string => `${source} ${dedupKey}`

/** The oldest alerts that nobody else works on and that are due, locked until the transaction ends. */
export async function claimAlerts(
  tx: Queryable,
  except: readonly string[],
  now: number,
  count: number,
): Promise<readonly OpenAlert[]> {
  const { rows } = await tx.query<{ id: string; signal: Signal; scope: readonly string[] | null }>(
    `select id, signal, scope from alerts
     where status = 'received' and id <> all($1) and (next_at is null or next_at <= $2)
     order by received_at, id limit $3 for update skip locked`,
    [except, new Date(now), count],
  )
  return rows.map(({ id, signal, scope }) => ({ id, signal, scope: scope ?? undefined }))
}

/** After this many failures an alert is dead; by then some ten minutes have passed. */
const MAX_ATTEMPTS = 12
const MAX_PAUSE_MS = 120_000

/** Notes that deciding failed: a few times more at once, then after growing pauses, in the end not again by itself. */
export async function noteFailure(on: Queryable, id: string, error: string, now: number): Promise<boolean> {
  const { rows } = await on.query<{ status: string }>(
    `update alerts set attempts = attempts + 1, error = $2,
       next_at = case when attempts < 3 then null
         else $3::timestamptz + least(power(2, attempts) * 1000, $4) * interval '1 millisecond' end,
       status = case when attempts + 1 >= $5 then 'dead' else status end
     where id = $1 and status = 'received' returning status`,
    [id, error.slice(0, 1000), new Date(now), MAX_PAUSE_MS, MAX_ATTEMPTS],
  )
  return rows[0]?.status === 'dead'
}

export interface DecidedOutcome extends AlertOutcome {
  readonly id: string
  /** Unix milliseconds. */
  readonly at: number
}

export async function saveOutcomes(tx: Queryable, outcomes: readonly DecidedOutcome[]): Promise<void> {
  const rows = outcomes.map(({ at, ...outcome }) => ({ ...outcome, at: new Date(at) }))
  await tx.query(
    `update alerts a set status = 'decided', error = null, migration = o.migration, action = o.action,
       reason = o.reason, explanation = o.explanation, incident = o.incident, decided_at = o.at
     from jsonb_to_recordset($1) as o(id text, migration text, action text, reason text, explanation text,
       incident text, at timestamptz)
     where a.id = o.id`,
    [JSON.stringify(rows)],
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
  readonly attempts: number
  readonly error: string | null
  readonly decided_at: Date | null
}

const COLUMNS = `id, status, signal, received_at, migration, action, reason, explanation, incident, duplicates,
  attempts, error, decided_at`

const toAlert = (row: Row): StoredAlert => ({
  id: row.id,
  status: row.status,
  signal: row.signal,
  receivedAt: row.received_at.getTime(),
  duplicates: row.duplicates,
  attempts: row.attempts,
  ...(row.error === null ? {} : { error: row.error }),
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
  readonly status?: StoredAlert['status']
  /** Only what is about these migrations. */
  readonly scope?: readonly string[]
  readonly limit: number
}

/** What an alert is about, as it was decided, or else as it says itself. */
export const migrationOf = ({ migration, signal }: StoredAlert): string | undefined =>
  migration ?? signal.migration

/** Newest first. */
export async function listAlerts(on: Queryable, filter: AlertFilter): Promise<readonly StoredAlert[]> {
  const { rows } = await on.query<Row>(
    `select ${COLUMNS} from alerts
     where ($1::text is null or migration = $1) and ($2::text is null or action = $2)
       and ($3::text is null or status = $3)
       and ($5::text[] is null or coalesce(migration, signal ->> 'migration') = any($5))
     order by received_at desc, id desc limit $4`,
    [
      filter.migration ?? null,
      filter.action ?? null,
      filter.status ?? null,
      filter.limit,
      filter.scope ?? null,
    ],
  )
  return rows.map(toAlert)
}

export async function findAlert(on: Queryable, id: string): Promise<StoredAlert | undefined> {
  const { rows } = await on.query<Row>(`select ${COLUMNS} from alerts where id = $1`, [id])
  return rows[0] === undefined ? undefined : toAlert(rows[0])
}
