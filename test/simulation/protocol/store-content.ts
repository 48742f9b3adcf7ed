import type { InstanceFacts, Path, Position } from '@switchback/migrations-registry'
import type { StoredMigration } from '@switchback/server/protocol'

export interface Stand extends Position {
  readonly handlers: readonly Path[]
  readonly fenced: boolean
}

/** One instance on the books. Times are the store's. */
export interface InstanceRow {
  readonly id: string
  readonly incarnation: string
  readonly app: string
  readonly version: string
  readonly onLeaseExpired: 'hold' | 'stop'
  readonly lastSeen: number
  readonly leaseUntil: number
  readonly stands: Readonly<Record<string, Stand>>
}

/** What the gate is told of the registered instances; leases in terms of the asker's clock. */
export function factsOf(
  { instances, migrations }: StoreContent,
  migration: string,
  apps: readonly string[],
  storeNow: number,
  now: number,
): readonly InstanceFacts[] {
  const epoch = migrations.get(migration)?.state.epoch ?? 0
  return [...instances.values()]
    .filter((row) => row.stands[migration] !== undefined || apps.includes(row.app))
    .map((row) => {
      const stand = row.stands[migration]
      // A position beyond the epoch is of another life of the migration.
      const credible = stand !== undefined && stand.applied <= epoch ? stand : undefined
      return {
        id: row.id,
        app: row.app,
        version: row.version,
        leaseUntil: now + (row.leaseUntil - storeNow),
        lastSeen: now + (row.lastSeen - storeNow),
        handlers: stand?.handlers ?? [],
        fenced: stand?.fenced ?? false,
        applied: credible?.applied ?? 0,
        drained: credible?.drained ?? 0,
        onLeaseExpired: row.onLeaseExpired,
        ...(stand?.oldest === undefined ? {} : { oldest: stand.oldest }),
      }
    })
}

/** Everything that the store holds. Values are never changed in place, so a copy of the maps is a backup. */
export interface StoreContent {
  readonly migrations: ReadonlyMap<string, StoredMigration>
  readonly instances: ReadonlyMap<string, InstanceRow>
  readonly revision: number
  /** In which life of the store a migration was compared with its target, and at which revision. */
  readonly compared: ReadonlyMap<string, { readonly life: string; readonly revision: number }>
}
