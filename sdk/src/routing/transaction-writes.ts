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

/** Begins a transaction for one write. Only who never heard of a server may find no fence. */
async function beginWrite(
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

/**
 * Runs the paths of one write inside a transaction that has passed its guard, old before new whoever leads.
 * A failure of the path that does not lead is undone, and its key queued for repair in the same
 * transaction; everything else fails the transaction.
 */
export async function runPaths(
  env: RouterEnv,
  runtime: MigrationRuntime,
  plan: Plan,
  port: TransactionPort<unknown>,
  handle: TransactionHandle<unknown>,
  write: RoutedWrite,
  outcomes: Outcome[],
): Promise<unknown> {
  const { onSecondaryFailure } = runtime.options
  const { order, leader } = plan.write
  let result: unknown
  for (const [position, path] of order.entries()) {
    const mayFail = path !== leader && onSecondaryFailure === 'repair'
    if (mayFail && position > 0) await handle.savepoint()
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

/** Writes in transaction mode: both paths in one transaction, behind the fence, under the lock of the key. */
export function createTransactionWrites(
  env: RouterEnv,
  runtime: MigrationRuntime,
  port: TransactionPort<unknown>,
  kind: MeasuredOperation,
): Call {
  const attempt = async (write: RoutedWrite): Promise<unknown> => {
    if (env.lease?.expired()) throw new LeaseExpiredError()
    // Each attempt under the plan of its own time: a retry after a passed epoch must not repeat the old one.
    const { plan } = runtime
    for (const path of plan.write.order) runtime.handler(kind, path)
    const operation = beginOperation(plan.slot, kind, env.clock.now())
    const outcomes: Outcome[] = []
    let handle: TransactionHandle<unknown> | undefined
    let committed = false
    try {
      handle = await beginWrite(port, runtime, plan, write.text)
      const result = await runPaths(env, runtime, plan, port, handle, write, outcomes)
      await handle.commit()
      committed = true
      return result
    } finally {
      // Ended before the operation counts as such: until then the transaction could still commit.
      if (!committed) await handle?.rollback()
      endOperation(operation)
      settleOutcomes(env, runtime, plan, write, outcomes, committed)
    }
  }

  return async (key, args) => {
    if (runtime.gate !== undefined) await runtime.gate
    const write = { kind, key, text: runtime.textOf(key), args }
    return retrying(env, port, () => attempt(write))
  }
}
