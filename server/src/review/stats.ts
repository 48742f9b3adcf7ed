import type { Queryable } from '../db/db.ts'

/** How migrations went, by the measures that they are judged by. Times in milliseconds. */
export interface Stats {
  readonly migrations: {
    readonly total: number
    readonly completed: number
    readonly underWay: number
    /** Reverted, and not completed since. */
    readonly reverted: number
    /** Completed of those that were completed or reverted; undefined before the first. */
    readonly successRate?: number
  }
  readonly reverts: {
    readonly total: number
    readonly byCause: Readonly<Record<string, number>>
    readonly refused: number
    /** From the first sign to the last instance. */
    readonly timeToRollback?: { readonly p50: number; readonly p99: number; readonly max: number }
    readonly verified: Readonly<Record<'verified' | 'failed' | 'inconclusive', number>>
  }
  /** Operations that applications saw fail on new while it served them. */
  readonly downtime: { readonly served: number; readonly failed: number }
  /** Incidents whose data was found not to be right: by verification, or after a revert. */
  readonly corruptionIncidents: number
  readonly satisfaction: { readonly answers: number; readonly mean?: number }
}

interface Row {
  readonly total: number
  readonly completed: number
  readonly reverted: number
  readonly reverts: number
  readonly refused: number
  readonly causes: Readonly<Record<string, number>> | null
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
  readonly verified: number
  readonly not_verified: number
  readonly inconclusive: number
  readonly corruption: number
  readonly served: number
  readonly failed: number
  readonly answers: number
  readonly mean: number | null
}

/** @param migrations only these; undefined: all */
export async function readStats(on: Queryable, migrations?: readonly string[]): Promise<Stats> {
  const { rows } = await on.query<Row>(
    `with m as (
       select id, state ->> 'phase' = 'contracted'
           or (definition -> 'copy' is null and state ->> 'phase' = 'expanded') as completed
       from migrations where $1::text[] is null or id = any($1)),
     i as (
       select *, extract(epoch from last_ack_at - coalesce(began_at, alerted_at, opened_at)) * 1000 as took
       from incidents where $1::text[] is null or migration = any($1)),
     r as (select * from i where kind = 'revert' and to_epoch > from_epoch)
     select (select count(*) from m) as total,
       (select count(*) from m where completed) as completed,
       (select count(*) from m where not completed and id in (select migration from r)) as reverted,
       (select count(*) from r) as reverts,
       (select count(*) from i where kind = 'refused') as refused,
       (select json_object_agg(kind, n) from (select cause ->> 'kind' as kind, count(*) as n from r group by 1) c) as causes,
       (select percentile_cont(0.5) within group (order by took) from r where took is not null)::float8 as p50,
       (select percentile_cont(0.99) within group (order by took) from r where took is not null)::float8 as p99,
       (select max(took) from r)::float8 as max,
       (select count(*) from r where verification ->> 'outcome' = 'verified') as verified,
       (select count(*) from r where verification ->> 'outcome' = 'failed') as not_verified,
       (select count(*) from r where verification ->> 'outcome' = 'inconclusive') as inconclusive,
       (select count(*) from i where cause ->> 'kind' = 'verification' or exists (
          select from jsonb_array_elements(coalesce(verification -> 'findings', '[]')) f
          where f ->> 'outcome' = 'failed' and f ->> 'name' = 'old compared with new')) as corruption,
       (select coalesce(sum(served), 0)::bigint from failed_operations where $1::text[] is null or migration = any($1)) as served,
       (select coalesce(sum(failed), 0)::bigint from failed_operations where $1::text[] is null or migration = any($1)) as failed,
       (select count(*) from satisfaction where $1::text[] is null or migration = any($1)) as answers,
       (select avg(score)::float8 from satisfaction where $1::text[] is null or migration = any($1)) as mean`,
    [migrations ?? null],
  )
  const row = rows[0]
  if (row === undefined) throw new Error('the store gave no figures')
  const { total, completed, reverted, p50, p99, max, mean } = row
  const ended = completed + reverted
  return {
    migrations: {
      total,
      completed,
      underWay: total - ended,
      reverted,
      ...(ended === 0 ? {} : { successRate: completed / ended }),
    },
    reverts: {
      total: row.reverts,
      byCause: row.causes ?? {},
      refused: row.refused,
      ...(p50 === null || p99 === null || max === null
        ? {}
        : { timeToRollback: { p50: Math.round(p50), p99: Math.round(p99), max: Math.round(max) } }),
      verified: { verified: row.verified, failed: row.not_verified, inconclusive: row.inconclusive },
    },
    downtime: { served: row.served, failed: row.failed },
    corruptionIncidents: row.corruption,
    satisfaction: { answers: row.answers, ...(mean === null ? {} : { mean: Number(mean.toFixed(2)) }) },
  }
}

/** Keeps what somebody says of a completed migration; asked once, so a second answer replaces the first. */
export async function saveSatisfaction(
  on: Queryable,
  answer: {
    readonly migration: string
    readonly score: number
    readonly comment?: string
    readonly by: string
  },
  at: number,
): Promise<void> {
  const { migration, score, comment, by } = answer
  await on.query(
    `insert into satisfaction (migration, score, comment, by, at) values ($1, $2, $3, $4, $5)
     on conflict (migration) do update set score = excluded.score, comment = excluded.comment,
       by = excluded.by, at = excluded.at`,
    [migration, score, comment ?? null, by, new Date(at)],
  )
}
