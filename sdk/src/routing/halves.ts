import type { Path } from '@switchback/migrations-registry'
import { StaleEpochError, SwitchbackError } from '../error.ts'
import type { HalfHandle } from '../transaction/half-port.ts'
import type { Independent } from '../transaction/independent.ts'
import { guardOf } from './guard.ts'
import type { Plan } from './plan.ts'
import { otherPath } from './read-places.ts'

/** The open transactions of one write in independent mode. */
export interface Halves {
  /** The path whose outcome is the write's: the leader, or the other path where the leader is behind. */
  readonly lead: Path
  readonly open: ReadonlyMap<Path, HalfHandle<unknown>>
  /** Why the transaction of the other path could not be begun. */
  readonly lost: { readonly error: unknown } | undefined
}

export const rollbackAll = async (halves: Iterable<HalfHandle<unknown>>): Promise<void> => {
  for (const half of halves) await half.rollback()
}

/**
 * Begins the transactions of both paths, each behind its fence and under its lock of the key: old first,
 * whoever leads, since two orders would wait for each other across databases, where nobody sees the circle.
 *
 * A path that is behind for this key cannot lead: what the other one has and it has not would be lost with
 * the next repair. Then the other path leads this write.
 *
 * @throws StaleEpochError where either fence refuses
 * @throws SwitchbackError `repair-conflict` where it cannot be known that the leader is not behind
 */
export async function openHalves(ports: Independent<unknown>, plan: Plan, key: string): Promise<Halves> {
  const { leader, order } = plan.write
  const migration = plan.config.id
  const open = new Map<Path, HalfHandle<unknown>>()
  let lost: Halves['lost']
  try {
    for (const path of order) {
      const port = ports[path]
      try {
        const question = { migration, key, path: otherPath(path) }
        open.set(path, await port.beginHalf(guardOf(plan, key), question))
      } catch (error) {
        const failure = port.failureOf(error)
        if (failure === 'stale-epoch') throw new StaleEpochError(migration, plan.epoch, error)
        if (path === leader || failure === 'serialization') throw error
        lost = { error }
      }
    }
    const behind = (path: Path): boolean => open.get(otherPath(path))?.otherBehind ?? false
    if (behind('old') && behind('new')) {
      throw conflict('each path of this key is behind in what the other one has')
    }
    // Only the database that does not answer knows for which keys the leader is behind. Old is behind for some
    // only where its reads are guarded; new has always followed before it led.
    if (lost !== undefined && (leader === 'new' || plan.config.guarded.includes(leader))) {
      throw conflict(
        'the database of the other path does not answer, and knows if the leader is behind',
        lost,
      )
    }
    return { lead: behind(leader) ? otherPath(leader) : leader, open, lost }
  } catch (error) {
    await rollbackAll(open.values())
    throw error
  }
}

const conflict = (reason: string, cause?: { readonly error: unknown }): SwitchbackError =>
  new SwitchbackError('repair-conflict', `nothing was written: ${reason}`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause: cause.error }),
  })
