import type { Position } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import type { Scoped } from '../tokens/tokens.ts'
import { ONE_PROCESS, scopesOf, within } from './scope-sql.ts'

/** What one instance has reported since the last flush. */
export interface Beat {
  readonly instance: string
  readonly incarnation: string
  readonly sender: Scoped
  /** Positions that may differ from what is stored. */
  readonly positions: ReadonlyMap<string, Position>
}

export interface StoredBeats {
  /** Beats that were not believed; all others are stored. */
  readonly refused: readonly {
    readonly instance: string
    readonly incarnation: string
    readonly why: 'unknown-instance' | 'impossible-position'
  }[]
  /** Migrations of which a position went up. */
  readonly migrations: readonly string[]
  /** Time of the store, in Unix milliseconds. */
  readonly storeNow: number
}

/**
 * Stores any number of beats with one statement: leases by one update, positions by another. Instance rows
 * are locked in order of id, and positions only under their instance's lock, so that servers that hear of
 * the same instances cannot deadlock. A position never goes down, and never beyond the migration's epoch.
 */
export async function storeBeats(
  db: Queryable,
  beats: readonly Beat[],
  { server, leaseMs }: { readonly server: string; readonly leaseMs: number },
): Promise<StoredBeats> {
  const positions = beats.flatMap(({ instance, incarnation, positions: given }) =>
    [...given].map(([migration, position]) => ({ instance, incarnation, migration, position })),
  )
  const params = [
    beats.map((beat) => beat.instance),
    beats.map((beat) => beat.incarnation),
    leaseMs,
    server,
    scopesOf(beats),
  ]
  const { rows } = await db.query<StoredBeats>(
    positions.length === 0 ? LEASES : LEASES_AND_POSITIONS,
    positions.length === 0
      ? params
      : [
          ...params,
          positions.map((row) => row.instance),
          positions.map((row) => row.incarnation),
          positions.map((row) => row.migration),
          positions.map((row) => row.position.applied),
          positions.map((row) => row.position.drained),
          positions.map(({ position: { oldest } }) => (oldest === undefined ? null : JSON.stringify(oldest))),
        ],
  )
  const stored = rows[0]
  if (stored === undefined) throw new Error('storing heartbeats gave no answer')
  return stored
}

const BEATS = `beat as (
  select * from unnest($1::text[], $2::text[], $5::jsonb[]) as b (instance, incarnation, scope)
)`

const held = (condition = ''): string => `held as materialized (
  select i.id, i.incarnation from instances i
  join beat b on b.instance = i.id and b.incarnation = i.incarnation
  where ${within('b.scope')} and ${ONE_PROCESS} ${condition}
  order by i.id for no key update of i
),
leased as (
  update instances i set last_seen = now(), lease_until = now() + $3 * interval '1 millisecond', server = $4
  from held where i.id = held.id and i.incarnation = held.incarnation
  returning i.id, i.incarnation
)`

const LEASES = `with ${BEATS}, ${held()}
select
  (select coalesce(json_agg(json_build_object(
      'instance', b.instance, 'incarnation', b.incarnation, 'why', 'unknown-instance')), '[]')
   from beat b left join leased l on l.id = b.instance and l.incarnation = b.incarnation
   where l.id is null) as refused,
  '[]'::json as migrations,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as "storeNow"`

const LEASES_AND_POSITIONS = `with ${BEATS},
given as (
  select g.*, (m.state ->> 'epoch')::bigint as epoch
  from unnest($6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::jsonb[])
    as g (instance, incarnation, migration, applied, drained, oldest)
  join migrations m on m.id = g.migration
),
impossible as (select distinct instance, incarnation from given where applied > epoch),
${held('and (i.id, i.incarnation) not in (select instance, incarnation from impossible)')},
stored as (
  update instance_positions p set
    applied = greatest(p.applied, g.applied),
    drained = greatest(p.drained, g.drained),
    oldest = case when g.applied >= p.applied and g.drained >= p.drained then g.oldest else p.oldest end
  from given g join held h on h.id = g.instance and h.incarnation = g.incarnation
  where p.instance = g.instance and p.migration = g.migration
    and (g.applied > p.applied or g.drained > p.drained
      or (g.applied = p.applied and g.drained = p.drained and g.oldest is distinct from p.oldest))
  returning p.migration
)
select
  (select coalesce(json_agg(json_build_object(
      'instance', b.instance, 'incarnation', b.incarnation,
      'why', case when x.instance is null then 'unknown-instance' else 'impossible-position' end)), '[]')
   from beat b
   left join leased l on l.id = b.instance and l.incarnation = b.incarnation
   left join impossible x on x.instance = b.instance and x.incarnation = b.incarnation
   where l.id is null) as refused,
  (select coalesce(json_agg(distinct migration), '[]') from stored) as migrations,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as "storeNow"`
