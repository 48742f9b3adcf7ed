import { HEARTBEAT_MS, LEASE_MS } from '@switchback/migrations-registry'
import { recordChange } from '../changes/record-change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { Scoped } from '../tokens/tokens.ts'
import { createBatcher } from './batcher.ts'
import { EVERYTHING, judgeClaims, type Registering } from './claims.ts'
import type { Fleet } from './fleet-port.ts'
import { createFleetReader } from './fleet-reader.ts'
import { createHeartbeats, STORE_UNAVAILABLE, UNKNOWN_INSTANCE } from './heartbeats.ts'
import { judgeForm, PREVIOUS } from './registration.ts'
import { type Registered, storeRegistrations } from './registration-store.ts'
import { ONE_PROCESS, scopesOf, within } from './scope-sql.ts'
import { createStoreTime } from './store-time.ts'

interface FleetLog {
  warn(detail: object, message: string): void
}

export interface FleetOptions {
  readonly db: Db
  readonly clock: Clock
  /** Name of this server, shown with the instances that are connected to it. */
  readonly server: string
  readonly log: FleetLog
  /** Milliseconds; default 5,000 and 15,000. */
  readonly heartbeatMs?: number
  readonly leaseMs?: number
  /** Told of the revision that forgetting an instance has made, after the commit. */
  readonly announce?: (revision: number) => void
  /** Milliseconds that only ever grow, for what must not follow a clock that is set. */
  readonly monotonic?: () => number
}

/** Registrations per transaction: a few milliseconds each, so that a step of a migration gets its turn. */
const REGISTRATIONS = 500

interface Leaving {
  readonly instance: string
  readonly incarnation: string
  readonly sender: Scoped
}

/**
 * The durable registry of instances. Whatever arrives together is stored together: registrations in one
 * transaction, heartbeats with one statement, goodbyes with one statement.
 */
export function createFleet(options: FleetOptions): Fleet {
  const { db, clock, server, log, leaseMs = LEASE_MS, heartbeatMs = HEARTBEAT_MS } = options
  const monotonic = options.monotonic ?? (() => performance.now())
  const storeTime = createStoreTime({ leaseMs, monotonic })
  const reader = createFleetReader({ clock, monotonic, storeTime })
  const listeners: ((migrations: readonly string[]) => void)[] = []

  function progressed(migrations: readonly string[]): void {
    if (migrations.length === 0) return
    for (const listener of listeners) listener(migrations)
  }

  const heartbeats = createHeartbeats({
    db,
    server,
    leaseMs,
    monotonic,
    onStored: (stored, sentAt, answeredAt) => {
      storeTime.observe(stored.storeNow, sentAt, answeredAt)
      progressed(stored.migrations)
    },
    onError: (error) => log.warn({ err: error }, 'heartbeats could not be stored'),
  })

  const registrations = createBatcher<Registering, Registered>({
    max: REGISTRATIONS,
    keyOf: ({ instance }) => instance,
    run: (batch) => storeRegistrations({ db, server, leaseMs, grace: storeTime.grace }, batch),
  })

  const goodbyes = createBatcher<Leaving, readonly string[] | undefined>({
    max: REGISTRATIONS,
    keyOf: ({ instance, incarnation }) => `${instance} ${incarnation}`,
    run: async (batch) => {
      // A process that another took the id from may still say goodbye to the entry that it has left.
      const { rows } = await db.query<{ id: string; incarnation: string; migrations: string[] | null }>(
        `delete from instances i using unnest($1::text[], $2::text[], $4::jsonb[]) as g (id, incarnation, scope)
         where i.id in (g.id, g.id || $3) and i.incarnation = g.incarnation
           and ${within('g.scope')} and ${ONE_PROCESS}
         returning g.id, g.incarnation,
           (select array_agg(migration) from instance_positions where instance = i.id) as migrations`,
        [
          batch.map(({ instance }) => instance),
          batch.map(({ incarnation }) => incarnation),
          PREVIOUS,
          scopesOf(batch),
        ],
      )
      return batch.map(({ instance, incarnation }) => {
        const gone = rows.find((row) => row.id === instance && row.incarnation === incarnation)
        return gone === undefined ? undefined : (gone.migrations ?? [])
      })
    },
  })

  async function judged(registration: Registering): Promise<Registered> {
    for (;;) {
      const result = await registrations.add(registration)
      if (result.kind !== 'again') return result
    }
  }

  return {
    async register(registration, sender = EVERYTHING) {
      const refusal = judgeForm(registration) ?? judgeClaims(registration, sender)
      if (refusal !== undefined) return { ok: false, error: refusal }
      try {
        const result = await judged({ ...registration, sender })
        if (result.kind === 'refused') return { ok: false, error: result.refusal }
      } catch (error) {
        log.warn({ err: error }, 'a registration could not be stored')
        return { ok: false, error: STORE_UNAVAILABLE }
      }
      const { instance, incarnation, positions, migrations } = registration
      heartbeats.prime(instance, incarnation, positions, sender)
      progressed(Object.keys(migrations))
      return { ok: true, value: { leaseMs, heartbeatMs } }
    },
    heartbeat: (instance, incarnation, beat, sender = EVERYTHING) =>
      heartbeats.add(instance, incarnation, beat, sender),
    async goodbye(instance, incarnation, _beat, sender = EVERYTHING) {
      try {
        const migrations = await goodbyes.add({ instance, incarnation, sender })
        if (migrations === undefined) return { ok: false, error: UNKNOWN_INSTANCE }
        progressed(migrations)
        return { ok: true, value: null }
      } catch (error) {
        log.warn({ err: error }, 'a goodbye could not be stored')
        return { ok: false, error: STORE_UNAVAILABLE }
      }
    },
    async forget(instance, reason, actor) {
      const forgotten = await db.tx(async (tx) => {
        const { rows } = await tx.query<{
          app: string
          version: string
          positions: object | null
          migrations: string[] | null
        }>(
          `delete from instances i where id = $1 returning app, version,
             (select json_object_agg(migration, json_build_object('applied', applied, 'drained', drained))
              from instance_positions where instance = i.id) as positions,
             (select array_agg(migration) from instance_positions where instance = i.id) as migrations`,
          [instance],
        )
        const row = rows[0]
        if (row === undefined) return undefined
        const { app, version, positions, migrations } = row
        const revision = await recordChange(tx, {
          at: clock(),
          actor,
          kind: 'instance.forgotten',
          subject: instance,
          detail: { reason, app, version, positions: positions ?? {} },
        })
        return { revision, migrations: migrations ?? [] }
      })
      if (forgotten === undefined) return false
      options.announce?.(forgotten.revision)
      progressed(forgotten.migrations)
      return true
    },
    factsFor: reader.factsFor,
    list: (filter) => reader.list(db, filter),
    onProgress(listener) {
      listeners.push(listener)
    },
    async stop() {
      await Promise.all([registrations.idle(), goodbyes.idle(), heartbeats.stop()])
    },
  }
}
