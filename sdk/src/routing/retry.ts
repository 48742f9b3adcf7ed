import { sleep } from '../clock.ts'
import { StaleEpochError, SwitchbackError } from '../error.ts'
import type { TransactionPort } from '../transaction/transaction-port.ts'
import type { RouterEnv } from './router-env.ts'

/**
 * Runs a transaction, and begins it again where that is right: after a serialization failure or a deadlock
 * as often as the port says, and once after a passed epoch, when a newer one has been heard of. A commit of
 * which the outcome is unknown is never run again.
 */
export async function retrying<T>(
  env: RouterEnv,
  port: Pick<TransactionPort<unknown>, 'failureOf' | 'retries'>,
  attempt: () => Promise<T>,
): Promise<T> {
  let stale = false
  let collisions = 0
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (error instanceof StaleEpochError) {
        if (stale || !(await env.newer(error.migration, error.epoch))) throw error
        stale = true
        continue
      }
      const failure = port.failureOf(error)
      if (failure === 'repair-conflict') {
        throw new SwitchbackError(
          'repair-conflict',
          'nothing was written: the other path of this key waits for repair',
          {
            retryable: true,
            cause: error,
          },
        )
      }
      if (failure !== 'serialization' || collisions >= port.retries) throw error
      // Full jitter: those who collided must not meet again.
      await sleep(env.clock, env.random() * Math.min(500, 10 * 2 ** collisions++))
    }
  }
}
