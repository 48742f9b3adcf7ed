import type { Straggler } from './compatibility.ts'
import type { Path } from './phases.ts'
import type { Millis } from './state.ts'

/** Default times of the lease protocol, in milliseconds. */
export const HEARTBEAT_MS = 5_000
export const LEASE_MS = 15_000

/** What the store knows of one instance, as seen by one migration. */
export interface InstanceFacts extends Straggler {
  readonly app: string
  readonly version: string
  readonly leaseUntil: Millis
  readonly lastSeen: Millis
  /** Paths that the instance has handlers for; empty where it does not know the migration. */
  readonly handlers: readonly Path[]
  /** `stop`: the instance stops by itself when its lease ends, so a lapsed one is as good as gone. */
  readonly onLeaseExpired: 'hold' | 'stop'
  /** Newest epoch that the instance has applied; 0 before the first. */
  readonly applied: number
  /** The operation in flight that keeps the instance from draining, where it has told. */
  readonly oldest?: { readonly kind: string; readonly ageMs: number }
}

export const isLive = (instance: InstanceFacts, now: Millis): boolean => instance.leaseUntil > now

/** Instances that may still be at work: all but those that stopped by themselves at the end of their lease. */
export const mayBeAtWork = (instance: InstanceFacts, now: Millis): boolean =>
  isLive(instance, now) || instance.onLeaseExpired === 'hold'

/** Oldest epoch that any of these instances may still be on; `epoch` where there are none. */
export const oldestLiveEpoch = (instances: readonly InstanceFacts[], epoch: number, now: Millis): number =>
  instances
    .filter((instance) => instance.handlers.length > 0 && mayBeAtWork(instance, now))
    .reduce((oldest, instance) => Math.min(oldest, instance.drained), epoch)
