import type { MigrationDefinition, MigrationState, Registration } from '@switchback/migrations-registry'
import type { Db, Queryable } from '../db/db.ts'
import type { Registering } from './claims.ts'
import type { FleetRefusal } from './fleet-port.ts'
import {
  judgeRegistration,
  type MigrationStanding,
  NOBODY,
  PREVIOUS,
  type StoredInstance,
} from './registration.ts'
import { rememberVersions } from './version-store.ts'

/** `again`: another server took the same new id on at the same moment; to be judged once more. */
export type Registered =
  | { readonly kind: 'done' | 'again' }
  | { readonly kind: 'refused'; readonly refusal: FleetRefusal }

export interface RegistrationStoreOptions {
  readonly db: Db
  readonly server: string
  readonly leaseMs: number
  /** Milliseconds by which leases are to be counted longer. */
  readonly grace: () => number
}

/** Judges and writes down registrations that arrived together, in one transaction. Ids must be distinct. */
export function storeRegistrations(
  options: RegistrationStoreOptions,
  registrations: readonly Registering[],
): Promise<readonly Registered[]> {
  return options.db.tx(async (tx) => {
    const standings = await lockStandings(tx, registrations)
    const stored = await lockStored(tx, registrations, options.grace())
    const refusals = registrations.map((registration) =>
      judgeRegistration(registration, concerning(standings, registration), stored.get(registration.instance)),
    )
    const accepted = registrations.filter((_, i) => refusals[i] === undefined)
    await setAside(tx, accepted, stored)
    const known = accepted.filter(({ instance }) => stored.has(instance))
    const added = await insert(
      tx,
      accepted.filter(({ instance }) => !stored.has(instance)),
      options,
    )
    await renew(tx, known, options)
    const written = accepted.filter(({ instance }) => stored.has(instance) || added.has(instance))
    await upsertPositions(tx, written, new Set(standings.map(({ id }) => id)))
    await rememberVersions(tx, registrations)
    return registrations.map(({ instance }, i): Registered => {
      const refusal = refusals[i]
      if (refusal !== undefined) return { kind: 'refused', refusal }
      return { kind: stored.has(instance) || added.has(instance) ? 'done' : 'again' }
    })
  })
}

/**
 * Locked, so that a step of a migration and a registration come one after the other: either the gate sees the
 * instance, or the instance is judged by the phase after the step.
 */
async function lockStandings(
  tx: Queryable,
  registrations: readonly Registration[],
): Promise<readonly MigrationStanding[]> {
  const { rows } = await tx.query<{
    id: string
    apps: readonly string[] | null
    writes: MigrationDefinition['writes'] | null
    state: MigrationState
  }>(
    `select id, definition -> 'apps' as apps, definition ->> 'writes' as writes, state from migrations
     where id = any($1) or definition -> 'apps' ?| $2
     order by id for share`,
    [
      [...new Set(registrations.flatMap(({ migrations }) => Object.keys(migrations)))],
      [...new Set(registrations.map(({ app }) => app))],
    ],
  )
  return rows.map(({ id, apps, writes, state }) => ({ id, apps: apps ?? [], writes: writes ?? 'sdk', state }))
}

const concerning = (
  standings: readonly MigrationStanding[],
  { app, migrations }: Registration,
): readonly MigrationStanding[] =>
  standings.filter(({ id, apps }) => migrations[id] !== undefined || apps.includes(app))

async function lockStored(
  tx: Queryable,
  registrations: readonly Registration[],
  grace: number,
): Promise<ReadonlyMap<string, StoredInstance>> {
  const { rows } = await tx.query<{
    id: string
    incarnation: string
    on_lease_expired: 'hold' | 'stop'
    left: number
    migrations: readonly string[]
  }>(
    `select id, incarnation, on_lease_expired,
            (extract(epoch from lease_until - clock_timestamp()) * 1000)::float8 as left,
            array(select migration from instance_positions where instance = instances.id) as migrations
     from instances where id = any($1) order by id for update`,
    [registrations.map(({ instance }) => instance)],
  )
  return new Map(
    rows.map(({ id, incarnation, on_lease_expired, left, migrations }) => [
      id,
      { id, incarnation, onLeaseExpired: on_lease_expired, leaseLeft: left + grace, migrations },
    ]),
  )
}

/** Makes room for other processes under ids that are on the books; see PREVIOUS. */
async function setAside(
  tx: Queryable,
  accepted: readonly Registration[],
  stored: ReadonlyMap<string, StoredInstance>,
): Promise<void> {
  const before = accepted.flatMap(({ instance, incarnation }) => {
    const found = stored.get(instance)
    return found === undefined || found.incarnation === incarnation ? [] : [found]
  })
  if (before.length === 0) return
  // One that stops at the end of its lease has stopped: it leaves nothing behind.
  const holding = before.filter(({ onLeaseExpired }) => onLeaseExpired === 'hold').map(({ id }) => id)
  if (holding.length > 0) {
    await tx.query(
      `insert into instances
       select id || $2, incarnation, app, version, server, 'hold', registered_at, last_seen, lease_until
       from instances where id = any($1)
       on conflict (id) do update set
         incarnation = '${NOBODY}', version = excluded.version, server = excluded.server,
         last_seen = excluded.last_seen, lease_until = excluded.lease_until`,
      [holding, PREVIOUS],
    )
    await tx.query(
      `insert into instance_positions as p
       select instance || $2, migration, handlers, fenced, applied, drained, oldest
       from instance_positions where instance = any($1)
       on conflict (instance, migration) do update set
         handlers = ${union('p.handlers', 'excluded.handlers')},
         fenced = p.fenced and excluded.fenced,
         applied = least(p.applied, excluded.applied),
         drained = least(p.drained, excluded.drained),
         oldest = null`,
      [holding, PREVIOUS],
    )
  }
  await tx.query('delete from instance_positions where instance = any($1)', [before.map(({ id }) => id)])
}

const union = (a: string, b: string): string =>
  `(select coalesce(array_agg(distinct path), '{}') from unnest(${a} || ${b}) as path)`

const columnsOf = (registrations: readonly Registration[]): string[][] => [
  registrations.map(({ instance }) => instance),
  registrations.map(({ incarnation }) => incarnation),
  registrations.map(({ app }) => app),
  registrations.map(({ version }) => version),
  registrations.map(({ onLeaseExpired }) => onLeaseExpired),
]

const GIVEN = `unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
  as g (id, incarnation, app, version, on_lease_expired)`
const LEASE_END = `clock_timestamp() + $2 * interval '1 millisecond'`

async function insert(
  tx: Queryable,
  registrations: readonly Registration[],
  { server, leaseMs }: RegistrationStoreOptions,
): Promise<ReadonlySet<string>> {
  if (registrations.length === 0) return new Set()
  const { rows } = await tx.query<{ id: string }>(
    `insert into instances
     select id, incarnation, app, version, $1, on_lease_expired, now(), now(), ${LEASE_END}
     from ${GIVEN} order by id
     on conflict (id) do nothing returning id`,
    [server, leaseMs, ...columnsOf(registrations)],
  )
  return new Set(rows.map(({ id }) => id))
}

async function renew(
  tx: Queryable,
  registrations: readonly Registration[],
  { server, leaseMs }: RegistrationStoreOptions,
): Promise<void> {
  if (registrations.length === 0) return
  await tx.query(
    `update instances i set
       registered_at = case when i.incarnation = g.incarnation then i.registered_at else now() end,
       incarnation = g.incarnation, app = g.app, version = g.version, server = $1,
       on_lease_expired = g.on_lease_expired, last_seen = now(), lease_until = ${LEASE_END}
     from ${GIVEN} where i.id = g.id`,
    [server, leaseMs, ...columnsOf(registrations)],
  )
}

/**
 * Whole positions, which only go up: of the same process no older report may count, whatever the order in
 * which the servers hear of it. A process keeps the handlers it had once; it does not lose code.
 */
async function upsertPositions(
  tx: Queryable,
  registrations: readonly Registration[],
  known: ReadonlySet<string>,
): Promise<void> {
  const rows = registrations.flatMap(({ instance, migrations, positions }) =>
    Object.entries(migrations).map(([migration, { handlers, fenced }]) => {
      // Of a migration that does not exist, nothing can have been applied.
      const { applied, drained } = (known.has(migration) && positions[migration]) || {
        applied: 0,
        drained: 0,
      }
      return { instance, migration, handlers: handlers.join(), fenced, applied, drained }
    }),
  )
  if (rows.length === 0) return
  await tx.query(
    `insert into instance_positions as p
     select instance, migration, string_to_array(handlers, ','), fenced, applied, drained
     from unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::bigint[], $6::bigint[])
       as g (instance, migration, handlers, fenced, applied, drained)
     order by instance, migration
     on conflict (instance, migration) do update set
       handlers = ${union('p.handlers', 'excluded.handlers')},
       fenced = p.fenced and excluded.fenced,
       applied = greatest(p.applied, excluded.applied),
       drained = greatest(p.drained, excluded.drained)`,
    [
      rows.map((row) => row.instance),
      rows.map((row) => row.migration),
      rows.map((row) => row.handlers),
      rows.map((row) => row.fenced),
      rows.map((row) => row.applied),
      rows.map((row) => row.drained),
    ],
  )
}
