import type { Queryable } from '../db/db.ts'

/** @typeParam Report as it is shown */
export interface KeptDryRun<Report> {
  readonly checksum: string
  readonly at: number
  readonly by: string
  readonly report: Report
}

export async function keepDryRun<Report>(
  on: Queryable,
  migration: string,
  { checksum, at, by, report }: KeptDryRun<Report>,
): Promise<void> {
  await on.query(
    `insert into dry_runs (migration, checksum, at, by, report) values ($1, $2, $3, $4, $5)
     on conflict (migration) do update set checksum = excluded.checksum, at = excluded.at, by = excluded.by,
       report = excluded.report`,
    [migration, checksum, new Date(at), by, JSON.stringify(report)],
  )
}

export async function lastDryRun<Report>(
  on: Queryable,
  migration: string,
): Promise<KeptDryRun<Report> | undefined> {
  const { rows } = await on.query<{ checksum: string; at: Date; by: string; report: Report }>(
    'select checksum, at, by, report from dry_runs where migration = $1',
    [migration],
  )
  return rows[0] === undefined ? undefined : { ...rows[0], at: rows[0].at.getTime() }
}
