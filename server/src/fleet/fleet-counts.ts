import type { Queryable } from '../db/db.ts'
import { concerns } from './scope-sql.ts'

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
    `with known as (
       select m.id, (m.state ->> 'epoch')::bigint as epoch, p.instance, p.applied, p.drained
       from migrations m join instance_positions p on p.migration = m.id
       where m.id = any($1)
       union all
       select m.id, (m.state ->> 'epoch')::bigint, i.id, null, null
       from migrations m, jsonb_array_elements_text(m.definition -> 'apps') a (app)
       join instances i on i.app = a.app
       where m.id = any($1)
         and not exists (select from instance_positions p where p.instance = i.id and p.migration = m.id)
     )
     select k.id, count(*)::int as instances, count(*) filter (where t.live)::int as live,
       count(*) filter (where t.live and k.applied >= k.epoch)::int as applied,
       count(*) filter (where t.live and k.drained >= k.epoch)::int as drained
     from known k join instances i on i.id = k.instance
     cross join lateral (select i.lease_until > clock_timestamp() as live) t
     group by k.id`,
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

/** Who is out there, by application and version; the largest groups first. `scope`: who has to do with these. */
export async function fleetGroups(db: Queryable, scope?: readonly string[]): Promise<readonly FleetGroup[]> {
  const { rows } = await db.query<FleetGroup>(
    `select app, version, count(*)::int as instances,
       count(*) filter (where lease_until > clock_timestamp())::int as live
     from instances i where ${concerns('$1')}
     group by app, version order by instances desc, app, version limit 1000`,
    [scope ?? null],
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
