import type { Queryable } from '../db/db.ts'

/** Live instances that have handlers, by migration. Counted in the store: a fleet may be large. */
export async function countLive(on: Queryable): Promise<ReadonlyMap<string, number>> {
  const { rows } = await on.query<{ migration: string; live: number }>(
    `select p.migration, count(*) as live from instance_positions p join instances i on i.id = p.instance
     where cardinality(p.handlers) > 0 and i.lease_until > clock_timestamp() group by p.migration`,
  )
  return new Map(rows.map(({ migration, live }) => [migration, live]))
}
