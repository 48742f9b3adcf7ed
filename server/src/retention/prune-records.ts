import type { Clock } from '../db/clock.ts'
import type { Queryable } from '../db/db.ts'

/** How long records are kept, in days; 0: for good. */
export interface Retention {
  readonly alertsDays: number
  readonly noticesDays: number
}

export type PrunedRecords = Readonly<Record<'alerts' | 'breaches' | 'notifications' | 'escalations', number>>

export interface PruneDeps {
  readonly db: Queryable
  readonly clock: Clock
  readonly retention: Retention
  /** Asked between two batches: whether to leave the rest to another time. */
  readonly stopped?: () => boolean
}

const DAY_MS = 86_400_000
/** Few enough that nobody waits for their locks. */
const BATCH = 1000

// Only what is over, and what no incident rests on. The audit log and incidents are kept for good.
const OLD = {
  alerts: `select id from alerts where status <> 'received' and incident is null and received_at < $1
    and (last_at is null or last_at < $1)`,
  breaches: 'select id from breaches where ended_at < $1 and incident is null',
  notifications: `select id from notifications where status <> 'pending' and created_at < $1`,
  escalations: 'select incident from escalations where ended_at < $1',
} as const

type Table = keyof typeof OLD
const IDS: Readonly<Record<Table, string>> = {
  alerts: 'id',
  breaches: 'id',
  notifications: 'id',
  escalations: 'incident',
}

/** Removes records that are older than they are to be kept, in batches. Several servers may do so at once. */
export async function pruneRecords({ db, clock, retention, stopped }: PruneDeps): Promise<PrunedRecords> {
  const { alertsDays, noticesDays } = retention
  const prune = async (table: Table, days: number): Promise<number> => {
    if (days === 0) return 0
    const before = new Date(clock() - days * DAY_MS)
    const id = IDS[table]
    let removed = 0
    while (stopped?.() !== true) {
      const { rowCount } = await db.query(
        `delete from ${table} where ${id} in (${OLD[table]} limit ${BATCH} for update skip locked)`,
        [before],
      )
      removed += rowCount ?? 0
      if ((rowCount ?? 0) < BATCH) break
    }
    return removed
  }
  return {
    alerts: await prune('alerts', alertsDays),
    breaches: await prune('breaches', alertsDays),
    notifications: await prune('notifications', noticesDays),
    escalations: await prune('escalations', noticesDays),
  }
}
