import type pg from 'pg'

/** Calls so far by the text of the statement, as PostgreSQL itself has counted them. */
export type Statements = ReadonlyMap<string, number>

export async function readStatements(admin: pg.Client, database: string): Promise<Statements> {
  const { rows } = await admin.query<{ query: string; calls: string }>(
    `select query, sum(calls) as calls from pg_stat_statements s join pg_database d on d.oid = s.dbid
     where d.datname = $1 group by query`,
    [database],
  )
  return new Map(rows.map(({ query, calls }) => [query, Number(calls)]))
}

/** Statements per second between two looks: those that renew leases, and all. */
export function ratesBetween(before: Statements, after: Statements, seconds: number) {
  const rate = (fits: (query: string) => boolean): number =>
    [...after].reduce(
      (sum, [query, calls]) => sum + (fits(query) ? calls - (before.get(query) ?? 0) : 0),
      0,
    ) / seconds
  const most = [...after]
    .map(([query, calls]) => ({
      query: query.replace(/\s+/g, ' ').slice(0, 90),
      perSecond: (calls - (before.get(query) ?? 0)) / seconds,
    }))
    .filter(({ perSecond }) => perSecond > 0.05)
    .sort((a, b) => b.perSecond - a.perSecond)
    .slice(0, 8)
  return { renewals: rate((query) => query.includes('beat as')), all: rate(() => true), most }
}
