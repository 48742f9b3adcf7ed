import type { Path } from '@switchback/migrations-registry'
import { LeaseExpiredError, messageOf, StaleEpochError } from '../error.ts'
import { type MeasuredOperation, recordFailure, recordSuccess } from '../telemetry/cell.ts'
import type { TransactionHandle, TransactionPort } from '../transaction/transaction-port.ts'
import { beginOperation, endOperation } from './epoch-ledger.ts'
import { guardOf, savepointFirst } from './guard.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'
import { retrying } from './retry.ts'
import type { Call, RouterEnv } from './router-env.ts'

/** Begins a transaction for one write of one database. Only who never heard of a server may find no fence. */
export async function beginWrite(
  port: TransactionPort<unknown>,
  runtime: MigrationRuntime,
  plan: Plan,
  key: string,
): Promise<TransactionHandle<unknown>> {
  const savepoint = savepointFirst(plan, runtime)
  try {
    return await port.begin(guardOf(plan, key), savepoint)
  } catch (error) {
    const failure = port.failureOf(error)
    if (failure === 'stale-epoch') throw new StaleEpochError(runtime.id, plan.epoch, error)
    if (failure === 'no-fence' && plan.epoch === 0) return port.begin({ kind: 'none' }, savepoint)
    throw error
  }
}

/** What became of one path in one attempt. */
export interface Outcome {
  readonly path: Path
  readonly ms: number
  readonly error?: unknown
  readonly secondary?: true
}

export interface RoutedWrite {
  readonly kind: MeasuredOperation
  readonly key: unknown
  readonly text: string
  readonly args: readonly unknown[]
}

/** How long writes set their savepoint after the path that does not lead has failed. */
const CAREFUL_MS = 5_000

/** The path that does not lead has failed, and there is no savepoint to go back to. */
class SecondaryFailed extends Error {}

/**
 * Runs the paths of one write inside a transaction that has passed its guard, old before new whoever leads.
 * A failure of the path that does not lead is undone, and its key queued for repair in the same
 * transaction; everything else fails the transaction.
 *
 * @param careful sets a savepoint before the path that may fail. It costs a round trip of every write for what
 *   rarely happens, so it is left out at first; a write that would have needed it runs again as a whole.
 */
export async function runPaths(
  env: RouterEnv,
  runtime: MigrationRuntime,
  plan: Plan,
  port: TransactionPort<unknown>,
  handle: TransactionHandle<unknown>,
  write: RoutedWrite,
  outcomes: Outcome[],
  careful: boolean,
): Promise<unknown> {
  const { onSecondaryFailure } = runtime.options
  const { order, leader } = plan.write
  let result: unknown
  for (const [position, path] of order.entries()) {
    const mayFail = path !== leader && onSecondaryFailure === 'repair'
    // Where it runs first, its savepoint came with the message that began the transaction.
    if (mayFail && careful && position > 0) await handle.savepoint()
    const startedAt = env.clock.now()
    try {
      const value = await runtime.handler(write.kind, path)(write.key, handle.tx, ...write.args)
      outcomes.push({ path, ms: env.clock.now() - startedAt })
      if (path === leader) result = value
    } catch (error) {
      const ms = env.clock.now() - startedAt
      outcomes.push({ path, ms, error, ...(path === leader ? {} : { secondary: true }) })
      // These fail the whole transaction, whichever path met them.
      if (!mayFail || port.failureOf(error) === 'serialization' || port.failureOf(error) === 'connection')
        throw error
      if (!careful && position > 0) throw new SecondaryFailed(messageOf(error), { cause: error })
      await handle.rollbackToSavepoint()
      await handle.queueRepair({
        migration: runtime.id,
        key: write.text,
        path,
        epoch: plan.epoch,
        reason: `${write.kind} failed: ${messageOf(error)}`,
      })
    }
  }
  return result
}

/** Counts what became of the paths, and reports what was queued for repair. */
export function settleOutcomes(
  env: RouterEnv,
  runtime: MigrationRuntime,
  plan: Plan,
  write: RoutedWrite,
  outcomes: readonly Outcome[],
  committed: boolean,
): void {
  for (const { path, ms, secondary, ...rest } of outcomes) {
    const cell = plan.cells[write.kind][path]
    if (!('error' in rest)) {
      recordSuccess(cell, ms)
      continue
    }
    recordFailure(cell, ms, rest.error)
    if (!secondary) continue
    cell.secondaryFailures++
    if (!committed) continue
    const failure = { migration: runtime.id, epoch: plan.epoch, operation: write.kind, path, key: write.text }
    env.log.warn('a path was not written and is queued for repair', {
      ...failure,
      error: messageOf(rest.error),
    })
    runtime.options.onSecondaryError?.({ ...failure, error: rest.error, queued: true })
  }
}

/** What the last attempt of a write has come to. */
interface Tally {
  readonly plan: Plan
  readonly outcomes: Outcome[]
  committed: boolean
}

/** Writes in transaction mode: both paths in one transaction, behind the fence, under the lock of the key. */
export function createTransactionWrites(
  env: RouterEnv,
  runtime: MigrationRuntime,
  port: TransactionPort<unknown>,
  kind: MeasuredOperation,
): Call {
  const { clock } = env
  let carefulUntil = Number.NEGATIVE_INFINITY

  const attempt = async (write: RoutedWrite, tally: Tally, careful: boolean): Promise<unknown> => {
    const { plan } = tally
    const operation = beginOperation(plan.slot, kind, clock.now())
    let handle: TransactionHandle<unknown> | undefined
    try {
      handle = await beginWrite(port, runtime, plan, write.text)
      const result = await runPaths(env, runtime, plan, port, handle, write, tally.outcomes, careful)
      await handle.commit()
      tally.committed = true
      return result
    } finally {
      // Rolled back before the operation counts as ended: until then the transaction could still commit.
      if (!tally.committed) await handle?.rollback()
      endOperation(operation)
    }
  }

  return async (key, args) => {
    if (runtime.gate !== undefined) await runtime.gate
    const write = { kind, key, text: runtime.textOf(key), args }
    let tally: Tally | undefined
    const begin = (): Tally => {
      if (env.lease?.expired()) throw new LeaseExpiredError()
      // Each attempt under the plan of its own time: a retry after a passed epoch must not repeat the old one.
      const { plan } = runtime
      for (const path of plan.write.order) runtime.handler(kind, path)
      tally = { plan, outcomes: [], committed: false }
      return tally
    }
    runtime.ledger.callBegins()
    try {
      return await retrying(env, port, async () => {
        try {
          return await attempt(write, begin(), clock.now() < carefulUntil)
        } catch (error) {
          if (!(error instanceof SecondaryFailed)) throw error
          carefulUntil = clock.now() + CAREFUL_MS
          return await attempt(write, begin(), true)
        }
      })
    } finally {
      // The last attempt alone: collisions that a retry made good are no errors of a path.
      if (tally !== undefined) {
        settleOutcomes(env, runtime, tally.plan, write, tally.outcomes, tally.committed)
      }
      runtime.ledger.callEnds()
    }
  }
}
