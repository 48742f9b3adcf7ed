import type { MigrationDefinition, MigrationState } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import { COMPARED } from '../phases/comparison-store.ts'

/** What the overview needs of a migration: neither its SQL nor its source. */
export interface OverviewMigration {
  readonly definition: MigrationDefinition
  readonly state: MigrationState
  readonly revision: number
  readonly hasContractSql: boolean
  /** See `StoredMigration`. */
  readonly compared: boolean
  readonly openIncidents: number
}

export async function overviewMigrations(db: Queryable): Promise<readonly OverviewMigration[]> {
  const { rows } = await db.query<OverviewMigration>(
    `select definition, state, revision, sql ? 'contract' as "hasContractSql", ${COMPARED} as compared,
       (select count(*)::int from incidents i where i.migration = migrations.id and i.status = 'open') as "openIncidents"
     from migrations order by id`,
  )
  return rows
}

/** Progress of work that is under way now, by migration. */
export async function workUnderWay(
  db: Queryable,
  migrations: readonly string[],
): Promise<ReadonlyMap<string, WorkUnderWay>> {
  if (migrations.length === 0) return new Map()
  const { rows } = await db.query<WorkUnderWay & { migration: string }>(
    `select distinct on (w.migration) w.migration, w.kind, w.epoch, w.progress
     from works w join migrations m on m.id = w.migration
     where w.migration = any($1) and w.kind = m.state -> 'work' ->> 'kind'
       and w.epoch = (m.state -> 'work' ->> 'epoch')::bigint
     order by w.migration, w.started_at desc`,
    [migrations],
  )
  return new Map(rows.map(({ migration, ...work }) => [migration, work]))
}

export interface WorkUnderWay {
  readonly kind: string
  readonly epoch: number
  readonly progress: {
    readonly stage?: string
    readonly done?: number
    readonly total?: number
    readonly rate?: number
    readonly etaMs?: number
    readonly throttledBy?: string
  }
}
