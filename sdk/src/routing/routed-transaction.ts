import { LeaseExpiredError, StaleEpochError, SwitchbackError } from '../error.ts'
import type { MeasuredOperation } from '../telemetry/cell.ts'
import type { TransactionHandle, TransactionPort } from '../transaction/transaction-port.ts'
import { beginOperation, endOperation, type Operation } from './epoch-ledger.ts'
import { guardOf, savepointFirst } from './guard.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'
import { readPlanFor } from './reads.ts'
import { retrying } from './retry.ts'
import type { RouterEnv } from './router-env.ts'
import { type Outcome, runPaths, settleOutcomes } from './transaction-writes.ts'

/** Several routed operations, and statements of one's own, in one transaction. */
export interface RoutedTransaction<Tx> {
  /** For statements of one's own. */
  readonly db: Tx
}

/**
 * The transaction behind `client.transaction`. The epoch of each migration is that of its first operation
 * here, and counts as in flight until the transaction has ended.
 */
export class OpenTransaction implements RoutedTransaction<unknown> {
  readonly port: TransactionPort<unknown>
  readonly #env: RouterEnv
  readonly #handle: TransactionHandle<unknown>
  readonly #pins = new Map<MigrationRuntime, { readonly plan: Plan; readonly operation: Operation }>()
  /** Savepoints of two operations at once would undo each other's work. */
  #turn: Promise<unknown> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined
  #open = true

  constructor(env: RouterEnv, port: TransactionPort<unknown>, handle: TransactionHandle<unknown>) {
    this.#env = env
    this.port = port
    this.#handle = handle
  }

  get db(): unknown {
    return this.#handle.tx
  }

  /** Runs one operation after those asked for before. Its failure dooms the whole transaction. */
  run(
    runtime: MigrationRuntime,
    kind: MeasuredOperation,
    key: unknown,
    args: readonly unknown[],
  ): Promise<unknown> {
    const result = this.#turn.then(async () => {
      if (!this.#open) throw new SwitchbackError('closed', 'this transaction has ended', { retryable: false })
      try {
        if (runtime.gate !== undefined) await runtime.gate
        if (this.#env.lease?.expired()) throw new LeaseExpiredError()
        return await (kind === 'read'
          ? this.#read(runtime, key, args)
          : this.#write(runtime, kind, key, args))
      } catch (error) {
        this.#failure ??= { error }
        throw error
      }
    })
    this.#turn = result.catch(() => undefined)
    return result
  }

  async commit(): Promise<void> {
    await this.#turn
    this.#open = false
    if (this.#failure !== undefined) {
      // The caller went on after a failed operation: half of a dual write might be in there.
      throw new SwitchbackError(
        'transaction-aborted',
        'nothing was written: an operation in the transaction failed',
        {
          retryable: false,
          cause: this.#failure.error,
        },
      )
    }
    await this.#handle.commit()
  }

  async end(): Promise<void> {
    await this.#turn
    this.#open = false
    await this.#handle.rollback()
    for (const { operation } of this.#pins.values()) endOperation(operation)
  }

  #pin(runtime: MigrationRuntime): Plan {
    const pinned = this.#pins.get(runtime)
    if (pinned !== undefined) return pinned.plan
    const { plan } = runtime
    this.#pins.set(runtime, {
      plan,
      operation: beginOperation(plan.slot, 'transaction', this.#env.clock.now()),
    })
    return plan
  }

  async #read(runtime: MigrationRuntime, key: unknown, args: readonly unknown[]): Promise<unknown> {
    const plan = this.#pin(runtime)
    const route = readPlanFor(plan, this.#env, runtime, key)
    const guarded = route.insteadOfRepair !== undefined
    const open = guarded && (await this.#handle.repairOpen(runtime.id, runtime.textOf(key), route.served))
    const path = open ? (route.insteadOfRepair ?? route.served) : route.served
    const value = await runtime.handler('read', path)(key, this.#handle.tx, ...args)
    const startedAt = this.#pins.get(runtime)?.operation.startedAt ?? 0
    if (this.#env.lease?.heldSince(startedAt) === false) throw new LeaseExpiredError()
    return value
  }

  async #write(
    runtime: MigrationRuntime,
    kind: MeasuredOperation,
    key: unknown,
    args: readonly unknown[],
  ): Promise<unknown> {
    const plan = this.#pin(runtime)
    const write = { kind, key, text: runtime.textOf(key), args }
    for (const path of plan.write.order) runtime.handler(kind, path)
    await this.#enter(runtime, plan, write.text)
    const outcomes: Outcome[] = []
    let done = false
    try {
      const result = await runPaths(this.#env, runtime, plan, this.port, this.#handle, write, outcomes, true)
      done = true
      return result
    } finally {
      const measured = outcomes.filter(
        (outcome) => !('error' in outcome) || this.port.failureOf(outcome.error) !== 'serialization',
      )
      settleOutcomes(this.#env, runtime, plan, write, measured, done)
    }
  }

  async #enter(runtime: MigrationRuntime, plan: Plan, key: string): Promise<void> {
    const savepoint = savepointFirst(plan, runtime)
    const maybeNoFence = plan.epoch === 0
    // A call of a function that is not there would take the whole transaction with it.
    if (maybeNoFence) await this.#handle.savepoint()
    try {
      await this.#handle.enter(guardOf(plan, key), savepoint)
    } catch (error) {
      const failure = this.port.failureOf(error)
      if (failure === 'stale-epoch') throw new StaleEpochError(runtime.id, plan.epoch, error)
      if (failure !== 'no-fence' || !maybeNoFence) throw error
      await this.#handle.rollbackToSavepoint()
      if (savepoint) await this.#handle.savepoint()
    }
  }
}

/** Runs `work` in one transaction of the target. It may run more than once: see `retrying`. */
export function runTransaction<T>(
  env: RouterEnv,
  port: TransactionPort<unknown>,
  work: (transaction: OpenTransaction) => Promise<T>,
): Promise<T> {
  return retrying(env, port, async () => {
    const transaction = new OpenTransaction(env, port, await port.begin({ kind: 'none' }, false))
    try {
      const result = await work(transaction)
      await transaction.commit()
      return result
    } finally {
      await transaction.end()
    }
  })
}
