import type { Heartbeat, InstanceFacts, Registration } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import type { Scoped } from '../tokens/tokens.ts'

/** What the gate and the reverts ask of the registry of instances, inside their own transaction. */
export interface FleetReader {
  /** Every registered instance (not forgotten, not gone by goodbye) that has told of this migration, or whose
   *  app is among `apps`. */
  factsFor(tx: Queryable, migration: string, apps: readonly string[]): Promise<readonly InstanceFacts[]>
}

export const INSTANCE_STATES = ['live', 'lapsed', 'behind'] as const
/** `behind`: live, and not drained yet. */
export type InstanceState = (typeof INSTANCE_STATES)[number]

export interface FleetInstance {
  readonly id: string
  readonly app: string
  readonly version: string
  readonly server: string
  readonly registeredAt: number
  readonly lastSeen: number
  readonly leaseUntil: number
  readonly live: boolean
  readonly migrations: Readonly<
    Record<
      string,
      {
        readonly handlers: readonly string[]
        readonly fenced: boolean
        readonly applied: number
        readonly drained: number
        readonly oldest?: { readonly kind: string; readonly ageMs: number }
      }
    >
  >
}

/** Why an instance was not taken on; `retryable` where trying again can help. */
export interface FleetRefusal {
  readonly code:
    | 'protocol'
    | 'missing-handlers'
    | 'out-of-scope'
    | 'instance-taken'
    | 'unknown-instance'
    | 'impossible-position'
    | 'store-unavailable'
  readonly message: string
  readonly retryable: boolean
}

export type FleetResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: FleetRefusal }

/**
 * The durable registry of instances with its leases. What a sender says is believed within the scope of its
 * token: it speaks neither of other migrations nor for a process that has told of others.
 */
export interface Fleet extends FleetReader {
  register(
    registration: Registration,
    sender?: Scoped,
  ): Promise<FleetResult<{ readonly leaseMs: number; readonly heartbeatMs: number }>>
  /** Renews the lease and takes the positions; batched, resolves once stored. */
  heartbeat(
    instance: string,
    incarnation: string,
    beat: Heartbeat,
    sender?: Scoped,
  ): Promise<FleetResult<{ readonly leaseMs: number }>>
  goodbye(instance: string, incarnation: string, beat: Heartbeat, sender?: Scoped): Promise<FleetResult<null>>
  /** Takes an instance off the books by name; audited. False where there is none. */
  forget(instance: string, reason: string, actor: string): Promise<boolean>
  list(filter: {
    readonly app?: string
    readonly migration?: string
    readonly search?: string
    readonly state?: InstanceState
    /** Only what has to do with these migrations, and of them alone. */
    readonly scope?: readonly string[]
    readonly limit: number
    readonly after?: string
  }): Promise<readonly FleetInstance[]>
  /** Called after positions were stored, with the migrations concerned. */
  onProgress(listener: (migrations: readonly string[]) => void): void
  stop(): Promise<void>
}
