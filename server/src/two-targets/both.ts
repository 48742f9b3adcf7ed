import type { Path } from '@switchback/migrations-registry'
import { lockKeys } from '../comparing/repair-keys.ts'
import type { Key } from '../mapping/keyset.ts'
import type { Connections, FarPair, Targets } from './pair.ts'

/** Below PostgreSQL's deadlock timeout of 1 s: the application is never chosen as the victim. */
export const LOCK_TIMEOUT_MS = 700

export const READ_COMMITTED = 'begin isolation level read committed'

/** A connection to each database. What runs on either while `signal` is aborted is cancelled there. */
export const onBoth = <T>(
  { old, new: fresh }: Targets,
  signal: AbortSignal,
  work: (on: Connections) => Promise<T>,
): Promise<T> =>
  old.cancellable(signal, (one) =>
    fresh.cancellable(signal, async (other) => {
      for (const connection of [one, other]) await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
      return work({ old: one, new: other })
    }),
  )

/**
 * Runs `work` in a transaction of each database with the locks of the keys in both, old first as everybody
 * does: no dual operation of these keys is half done then. What is written beside the leader is committed
 * first: what says that it was missing is in the leader's database, and must not go before.
 */
export async function underLocks<T>(
  on: Connections,
  pair: Pick<FarPair, 'leader' | 'mapping'>,
  keys: readonly Key[],
  work: () => Promise<T>,
): Promise<T> {
  const inOrder: readonly Path[] = pair.leader === 'old' ? ['new', 'old'] : ['old', 'new']
  try {
    for (const path of ['old', 'new'] as const) {
      await on[path].query(READ_COMMITTED)
      await lockKeys(on[path], pair, keys)
    }
    const result = await work()
    for (const path of inOrder) await on[path].query('commit')
    return result
  } catch (error) {
    // Where this fails too, the connection is gone and the transaction with it.
    for (const path of inOrder) await on[path].query('rollback').catch(() => undefined)
    throw error
  }
}
