import type { Queryable } from '../db/db.ts'

/** How far the fleet of one migration is with its present epoch; counted by the store, for long lists. */
export interface FleetCounts {
  readonly instances: number
  readonly live: number
  readonly applied: number
  readonly drained: number
}

export const NO_INSTANCES: FleetCounts = { instances: 0, live: 0, applied: 0, drained: 0 }

/** Counts for these migrations at once. Leases are judged by the clock of the store alone. */
export async function fleetCounts(
  db: Queryable,
  migrations: readonly string[],
): Promise<ReadonlyMap<string, FleetCounts>> {
  if (migrations.length === 0) return new Map()
  const { rows } = await db.query<FleetCounts & { id: string }>(
    `select m.id, count(*)::int as instances, count(*) filter (where t.live)::int as live,
       count(*) filter (where t.live and p.applied >= t.epoch)::int as applied,
       count(*) filter (where t.live and p.drained >= t.epoch)::int as drained
     from migrations m
     join instances i on true
     left join instance_positions p on p.instance = i.id and p.migration = m.id
     cross join lateral (
       select i.lease_until > clock_timestamp() as live, (m.state ->> 'epoch')::bigint as epoch) t
     where m.id = any($1) and (p.instance is not null or m.definition -> 'apps' ? i.app)
     group by m.id`,
    [migrations],
  )
  return new Map(rows.map(({ id, ...counts }) => [id, counts]))
}

export interface FleetGroup {
  readonly app: string
  readonly version: string
  readonly instances: number
  readonly live: number
}

/** Who is out there, by application and version; the largest groups first. */
export async function fleetGroups(db: Queryable): Promise<readonly FleetGroup[]> {
  const { rows } = await db.query<FleetGroup>(
    `select app, version, count(*)::int as instances,
       count(*) filter (where lease_until > clock_timestamp())::int as live
     from instances group by app, version order by instances desc, app, version limit 1000`,
  )
  return rows
}

export interface PositionGroup {
  readonly app: string
  readonly version: string
  readonly live: boolean
  readonly applied: number
  readonly drained: number
  readonly instances: number
}

/** Where the fleet of one migration stands, alike ones counted together. */
export async function positionGroups(db: Queryable, migration: string): Promise<readonly PositionGroup[]> {
  const { rows } = await db.query<PositionGroup>(
    `select i.app, i.version, i.lease_until > clock_timestamp() as live, p.applied, p.drained,
       count(*)::int as instances
     from instance_positions p join instances i on i.id = p.instance
     where p.migration = $1
     group by 1, 2, 3, 4, 5 order by p.drained, p.applied, i.app, i.version limit 500`,
    [migration],
  )
  return rows
}
