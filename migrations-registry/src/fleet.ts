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
  /** `stop`: the instance begins nothing and hands out nothing any more when its lease is over. */
  readonly onLeaseExpired: 'hold' | 'stop'
  /** Newest epoch that the instance has applied; 0 before the first. */
  readonly applied: number
  /** The operation in flight that keeps the instance from draining, where it has told. */
  readonly oldest?: { readonly kind: string; readonly ageMs: number }
}

export const isLive = (instance: InstanceFacts, now: Millis): boolean => instance.leaseUntil > now

/**
 * An instance as compatibility sees it. One that stops by itself at the end of its lease serves nothing any
 * more when that is over; but a write that it had begun may still commit, where no fence stops it: whoever is
 * held up inside of a transaction does not notice that time passes.
 */
export const stragglerOf = (instance: InstanceFacts, now: Millis): Straggler => ({
  id: instance.id,
  drained: instance.drained,
  fenced: instance.fenced,
  halted: !isLive(instance, now) && instance.onLeaseExpired === 'stop',
})

/** Oldest epoch that any of these instances may still be on; `epoch` where there are none. */
export const oldestLiveEpoch = (instances: readonly InstanceFacts[], epoch: number): number =>
  instances
    .filter((instance) => instance.handlers.length > 0)
    .reduce((oldest, instance) => Math.min(oldest, instance.drained), epoch)
