import type { Queryable } from '../db/db.ts'
import { COMPARED } from '../phases/comparison-store.ts'

export interface StoreFigures {
  readonly migrations: readonly {
    readonly id: string
    readonly phase: string
    readonly epoch: number
    readonly isLatched: boolean
    readonly isCompared: boolean
  }[]
  readonly instances: readonly { app: string; live: number; lapsed: number }[]
  readonly reverts: readonly { migration: string; cause: string; count: number }[]
  readonly alertsWaiting: number
}

/** What only the store knows, for the metrics. */
export async function readStoreFigures(db: Queryable, now: number): Promise<StoreFigures> {
  const migrations = await db.query<StoreFigures['migrations'][number]>(
    `select id, state ->> 'phase' as phase, (state ->> 'epoch')::bigint as epoch, state ? 'latch' as "isLatched",
       ${COMPARED} as "isCompared"
     from migrations order by id`,
  )
  const instances = await db.query<StoreFigures['instances'][number]>(
    `select app, count(*) filter (where lease_until > $1) as live,
       count(*) filter (where lease_until <= $1) as lapsed from instances group by app order by app`,
    [new Date(now)],
  )
  const reverts = await db.query<StoreFigures['reverts'][number]>(
    `select migration, cause ->> 'kind' as cause, count(*) from incidents group by 1, 2 order by 1, 2`,
  )
  const alerts = await db.query<{ count: number }>(`select count(*) from alerts where status = 'received'`)
  return {
    migrations: migrations.rows,
    instances: instances.rows,
    reverts: reverts.rows,
    alertsWaiting: alerts.rows[0]?.count ?? 0,
  }
}
