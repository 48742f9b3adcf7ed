import type { InstanceFacts, Path } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import type { FleetInstance, FleetReader, InstanceState } from './fleet-port.ts'
import { concerns } from './scope-sql.ts'
import type { StoreTime } from './store-time.ts'

export interface FleetReaderOptions {
  /** Of the caller's `now`: leases are told in its terms. */
  readonly clock: () => number
  readonly monotonic: () => number
  readonly storeTime: StoreTime
}

export interface ListFilter {
  readonly app?: string
  readonly migration?: string
  /** Part of an id. */
  readonly search?: string
  readonly state?: InstanceState
  /** Only what has to do with these migrations, and of them alone. */
  readonly scope?: readonly string[]
  readonly limit: number
  readonly after?: string
}

interface Oldest {
  readonly kind: string
  readonly ageMs: number
}

interface InstanceRow {
  readonly id: string
  readonly app: string
  readonly version: string
  readonly server: string
  readonly on_lease_expired: 'hold' | 'stop'
  /** Milliseconds by the clock of the store. */
  readonly registered_ago: number
  readonly seen_ago: number
  readonly lease_left: number
  readonly store_now: number
}

interface FactsRow extends InstanceRow {
  readonly handlers: readonly Path[] | null
  readonly fenced: boolean | null
  readonly applied: number | null
  readonly drained: number | null
  readonly oldest: Oldest | null
}

interface ListRow extends InstanceRow {
  readonly migrations: FleetInstance['migrations'] | null
}

const ms = (interval: string): string => `(extract(epoch from ${interval}) * 1000)::float8`

const INSTANCE = `i.id, i.app, i.version, i.server, i.on_lease_expired,
  ${ms('clock_timestamp() - i.registered_at')} as registered_ago,
  ${ms('clock_timestamp() - i.last_seen')} as seen_ago,
  ${ms('i.lease_until - clock_timestamp()')} as lease_left,
  ${ms('clock_timestamp()')} as store_now`

// A position beyond the epoch is from an earlier life of a migration that was removed and registered again.
const credible = (column: string): string =>
  `case when p.applied > (m.state ->> 'epoch')::bigint then 0 else ${column} end`

const FACTS = `select ${INSTANCE}, p.handlers, p.fenced, p.oldest,
    ${credible('p.applied')} as applied, ${credible('p.drained')} as drained
  from instances i
  left join instance_positions p on p.instance = i.id and p.migration = $1
  left join migrations m on m.id = p.migration
  where p.instance is not null or i.app = any($2)
  order by i.id`

const LIST = `select ${INSTANCE}, (
    select json_object_agg(p.migration, json_strip_nulls(json_build_object('handlers', p.handlers,
      'fenced', p.fenced, 'applied', p.applied, 'drained', p.drained, 'oldest', p.oldest)))
    from instance_positions p
    where p.instance = i.id and ($7::text[] is null or p.migration = any($7))) as migrations
  from instances i
  where ${concerns('$7')} and ($1::text is null or i.app = $1) and ($3::text is null or i.id > $3)
    and ($2::text is null or exists (
      select from instance_positions p where p.instance = i.id and p.migration = $2))
    and ($5::text is null or strpos(i.id, $5) > 0)
    and ($6::text is null
      or ($6 = 'lapsed' and i.lease_until <= clock_timestamp())
      or ($6 = 'live' and i.lease_until > clock_timestamp())
      or ($6 = 'behind' and i.lease_until > clock_timestamp() and exists (
        select from instance_positions p join migrations m on m.id = p.migration
        where p.instance = i.id and p.drained < (m.state ->> 'epoch')::bigint and ($2::text is null or p.migration = $2)
          and ($7::text[] is null or p.migration = any($7)))))
  order by i.id limit $4`

/**
 * Reads who is out there. A lease is judged by the clock of the store and then told in terms of the caller's
 * clock: what is left of it, from now on.
 */
export function createFleetReader(options: FleetReaderOptions): FleetReader & {
  list(db: Queryable, filter: ListFilter): Promise<readonly FleetInstance[]>
} {
  async function read<Row extends InstanceRow>(db: Queryable, text: string, params: readonly unknown[]) {
    const sentAt = options.monotonic()
    const { rows } = await db.query<Row>(text, params)
    const first = rows[0]
    if (first !== undefined) options.storeTime.observe(first.store_now, sentAt, options.monotonic())
    const now = options.clock()
    const grace = options.storeTime.grace()
    return rows.map((row) => ({ row, times: timesOf(row, now, grace), now }))
  }
  return {
    async factsFor(tx, migration, apps) {
      const found = await read<FactsRow>(tx, FACTS, [migration, apps])
      return found.map(({ row, times }): InstanceFacts => {
        const { oldest } = row
        return {
          id: row.id,
          app: row.app,
          version: row.version,
          leaseUntil: times.leaseUntil,
          lastSeen: times.lastSeen,
          handlers: row.handlers ?? [],
          fenced: row.fenced ?? false,
          applied: row.applied ?? 0,
          drained: row.drained ?? 0,
          onLeaseExpired: row.on_lease_expired,
          // It has grown older since it was reported.
          ...(oldest === null
            ? {}
            : { oldest: { ...oldest, ageMs: oldest.ageMs + Math.max(0, row.seen_ago) } }),
        }
      })
    },
    async list(db, { app, migration, after, limit, search, state, scope }) {
      const filter = [app, migration, after].map((each) => each ?? null)
      const found = await read<ListRow>(db, LIST, [
        ...filter,
        limit,
        search ?? null,
        state ?? null,
        scope ?? null,
      ])
      return found.map(({ row, times, now }) => ({
        id: row.id,
        app: row.app,
        version: row.version,
        server: row.server,
        ...times,
        live: times.leaseUntil > now,
        migrations: row.migrations ?? {},
      }))
    },
  }
}

const timesOf = (row: InstanceRow, now: number, grace: number) => ({
  registeredAt: Math.round(now - row.registered_ago),
  lastSeen: Math.round(now - row.seen_ago),
  leaseUntil: Math.round(now + row.lease_left + grace),
})
