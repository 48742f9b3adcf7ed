import { SwitchbackError } from '../error.ts'
import type { HalfPort } from './half-port.ts'

/** Two databases without a common transaction, one for each path. Made by `independent`. */
export interface Independent<Tx> {
  readonly kind: 'independent'
  readonly old: HalfPort<Tx>
  readonly new: HalfPort<Tx>
}

/**
 * Independent mode: the paths live in two databases. Both transactions of a write are open, behind the fence
 * and under the lock of the key in either database, before the first is committed; the one that leads commits
 * with an intent for the other. What is left over when a process dies in between is repaired.
 *
 * A write is acknowledged when the leading path is committed and the other one is committed or queued. With
 * `onSecondaryFailure: 'fail'` a failure before the first commit writes neither; a failure of the second
 * commit can only be repaired.
 *
 * @throws SwitchbackError `bad-options` for one database given twice, and for an isolation level other than
 *   READ COMMITTED: a snapshot from before the lock of the key would not see that a path is behind
 *
 * @example
 * client.migration('user-profiles', {
 *   key: (userId: string) => userId,
 *   transaction: independent({ old: pgTransaction(mainPool), new: pgTransaction(profilesPool) }),
 * })
 */
export function independent<Tx>(ports: {
  readonly old: HalfPort<Tx>
  readonly new: HalfPort<Tx>
}): Independent<Tx> {
  if (ports.old === ports.new) {
    throw new SwitchbackError('bad-options', 'one database holds both paths: that is transaction mode', {
      retryable: false,
    })
  }
  for (const { isolation } of [ports.old, ports.new]) {
    if (isolation === undefined || isolation === 'read committed') continue
    throw new SwitchbackError('bad-options', `independent mode runs at read committed, not at ${isolation}`, {
      retryable: false,
    })
  }
  return { kind: 'independent', old: ports.old, new: ports.new }
}
