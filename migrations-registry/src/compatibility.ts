import type { Routing } from './routing.ts'
import { servedPaths, WRITE_ROUTES } from './routing.ts'

/**
 * Invariant I1: a path that a reader may be served from must be written by every writer. True where
 * reads under `reader` and writes under `writer` may happen at the same time.
 *
 * A write may fail in the path that does not lead: then it is acknowledged with its key queued for repair.
 * So such a path counts as written only for a reader that asks for repairs first (I2).
 */
export function readsAreWritten(reader: Routing, writer: Routing): boolean {
  const { leader, order } = WRITE_ROUTES[writer.write]
  return servedPaths(reader).every(
    (path) => path === leader || (order.includes(path) && reader.asks?.includes(path) === true),
  )
}

/** True where instances under `a` and under `b` may be at work at the same time (I1, both ways). */
export const mayCoexist = (a: Routing, b: Routing): boolean => readsAreWritten(a, b) && readsAreWritten(b, a)

/** The routing that was in force at one epoch, kept until nobody can be on it any more. */
export interface EpochRecord {
  readonly epoch: number
  readonly routing: Routing
  /** Whether writes of this epoch went through the fence, so that the fence can stop them. */
  readonly fenced: boolean
}

/** What is known of one instance's position, as far as compatibility cares. */
export interface Straggler {
  readonly id: string
  /** Nothing of an epoch older than this is in flight on the instance; it may be on this one or any later. */
  readonly drained: number
  /** Whether its writes go through the fence. */
  readonly fenced: boolean
  /** It serves nothing any more; a write that it had begun may still commit. */
  readonly halted?: boolean
}

export interface Conflict {
  readonly instance: string
  readonly epoch: number
  /** `reader`: its reads may be served from a path that would no longer be written. `writer`: its writes
   *  may miss a path that would be served. */
  readonly as: 'reader' | 'writer'
}

/**
 * Who would break I1 if `next` came into force now.
 *
 * @param minimum lowest epoch that the fence lets write; writes below it cannot happen where both the
 *   epoch and the instance are fenced. The fence stops writers, never readers.
 */
export function conflictsWith(
  next: Routing,
  instances: readonly Straggler[],
  history: readonly EpochRecord[],
  minimum: number,
): Conflict[] {
  const conflicts: Conflict[] = []
  for (const instance of instances) {
    for (const record of history) {
      if (record.epoch < instance.drained) continue
      if (instance.halted !== true && !readsAreWritten(record.routing, next)) {
        conflicts.push({
          instance: instance.id,
          epoch: record.epoch,
          as: 'reader',
        })
      }
      const stopped = record.fenced && instance.fenced && record.epoch < minimum
      if (!stopped && !readsAreWritten(next, record.routing)) {
        conflicts.push({
          instance: instance.id,
          epoch: record.epoch,
          as: 'writer',
        })
      }
    }
  }
  return conflicts
}
