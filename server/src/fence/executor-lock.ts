import { throwIfStopped } from '../target/execution-error.ts'
import { pause } from '../target/pause.ts'
import type { Target } from '../target/target.ts'

/** A connection that died without a word is found out within this time. */
const HEARTBEAT_MS = 5_000

/**
 * Runs `work` while holding the session lock that makes this the only executor of the migration; undefined
 * where somebody else holds it. The signal is aborted when the lock's connection breaks: from then on
 * somebody else may have the lock.
 */
export function exclusively<T>(
  target: Target,
  migration: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  return target.connection(async (connection) => {
    const { rows } = await connection.query<{ got: boolean }>(
      `select pg_try_advisory_lock(hashtext('switchback executor ' || $1), 0) as got`,
      [migration],
    )
    if (rows[0]?.got !== true) return undefined
    const lost = new AbortController()
    const lose = () => lost.abort(new Error('the connection that held the lock of the executor broke'))
    connection.broken.addEventListener('abort', lose, { once: true })
    let beating = false
    const heartbeat = setInterval(() => {
      if (beating) return lose()
      beating = true
      connection.query('select 1').then(() => {
        beating = false
      }, lose)
    }, HEARTBEAT_MS)
    heartbeat.unref()
    try {
      if (connection.broken.aborted) lose()
      return await work(lost.signal)
    } finally {
      clearInterval(heartbeat)
      connection.broken.removeEventListener('abort', lose)
      if (!lost.signal.aborted) {
        await connection
          .query(`select pg_advisory_unlock(hashtext('switchback executor ' || $1), 0)`, [migration])
          .catch(() => undefined)
      }
    }
  })
}

/** No id of a migration. */
const ANY_SCHEMA_WORK = '*'

/**
 * Runs `work` as the only one that changes the schema of this target; waits for whoever does so now. Asked for
 * again and again instead of queued for: who queues holds a snapshot, and CREATE INDEX CONCURRENTLY would wait
 * for it in turn.
 */
export async function alone<T>(
  target: Target,
  signal: AbortSignal,
  waiting: () => void,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  for (;;) {
    throwIfStopped(signal)
    const done = await exclusively(target, ANY_SCHEMA_WORK, async (lost) => ({
      value: await work(AbortSignal.any([signal, lost])),
    }))
    if (done !== undefined) return done.value
    waiting()
    await pause(250, signal)
  }
}
