import type { Path } from '@switchback/migrations-registry'
import { recordFailure, recordSuccess } from '../telemetry/cell.ts'
import type { TransactionPort } from '../transaction/transaction-port.ts'
import { createDeadlines } from './deadlines.ts'
import { beginOperation, endOperation, type Operation } from './epoch-ledger.ts'
import { guardOf } from './guard.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'
import type { RouterEnv } from './router-env.ts'

/** Compares a served read with the other path, beside it. Returns at once and never throws. */
export type Shadow = (
  plan: Plan,
  served: Path,
  compared: Path,
  key: unknown,
  args: readonly unknown[],
  result: Promise<unknown>,
) => void

type Both = Readonly<Record<Path, unknown>>

/**
 * Shadow reads of one migration. A mismatch is looked at again before it counts, since a write may have
 * come between the two reads; one that stands is counted, and its key is queued for repair.
 */
export function createShadow(env: RouterEnv, runtime: MigrationRuntime): Shadow {
  const { clock } = env
  const { transaction, compare } = runtime.options
  let active = 0

  const readBoth = async (tx: unknown, key: unknown, args: readonly unknown[]): Promise<Both> => ({
    old: await runtime.handler('read', 'old')(key, tx, ...args),
    new: await runtime.handler('read', 'new')(key, tx, ...args),
  })

  const differ = (both: Both): boolean => !compare(both.old, both.new)

  /** In one state of the database where the target can give one. */
  const stands = async (key: unknown, args: readonly unknown[]): Promise<boolean> => {
    if (transaction === undefined) return differ(await readBoth(undefined, key, args))
    const snapshot = await transaction.snapshot()
    try {
      return differ(await readBoth(snapshot.tx, key, args))
    } finally {
      await snapshot.rollback()
    }
  }

  /** Queues the key, after a last look under its lock: no write of both paths can be half done there. */
  const queue = async (
    port: TransactionPort<unknown>,
    plan: Plan,
    path: Path,
    key: unknown,
    args: readonly unknown[],
  ): Promise<void> => {
    const text = runtime.textOf(key)
    const handle = await port.begin(guardOf(plan, text), false)
    try {
      if (!differ(await readBoth(handle.tx, key, args))) return
      const reason = 'a shadow read found the paths to differ'
      await handle.queueRepair({ migration: runtime.id, key: text, path, epoch: plan.epoch, reason })
      await handle.commit()
    } finally {
      await handle.rollback()
    }
  }

  /** A first look that differed: look again, count, and have the key repaired. */
  const lookAgain = async (
    plan: Plan,
    key: unknown,
    args: readonly unknown[],
    operation: Operation,
  ): Promise<void> => {
    if (!(await stands(key, args)) || operation.ended) return
    plan.cells.read.new.mismatches++
    env.log.warn('old and new differ', {
      migration: runtime.id,
      epoch: plan.epoch,
      key: runtime.textOf(key),
    })
    if (transaction === undefined || plan.secondary === undefined) return
    // What follows writes: it is in flight until it is over, however long that takes.
    deadlines.lift(operation)
    await queue(transaction, plan, plan.secondary, key, args)
  }

  const end = (operation: Operation): void => {
    if (operation.ended) return
    active--
    deadlines.lift(operation)
    endOperation(operation)
  }

  // What is late has no further effect, so it need not hold up the drain of its epoch.
  const deadlines = createDeadlines(clock, (operation) => {
    runtime.shadowDropped++
    end(operation)
  })

  return (plan, served, compared, key, args, result) => {
    const { sample, concurrency, timeout } = plan.config.shadow
    if (sample < 1 && env.random() >= sample) return
    if (active >= concurrency) {
      runtime.shadowDropped++
      return
    }
    active++
    const operation = beginOperation(plan.slot, 'compare', clock.now())
    deadlines.set(operation, timeout)
    const cell = plan.cells.read[compared]
    const failed = (error: unknown): void => {
      recordFailure(cell, clock.now() - operation.startedAt, error)
      end(operation)
    }
    const found = (other: unknown): void => {
      recordSuccess(cell, clock.now() - operation.startedAt)
      result.then(
        (value) => {
          if (operation.ended) return
          // Comparisons are told under new, whichever path was served: new is what is on trial.
          plan.cells.read.new.compared++
          try {
            const [old, fresh] = served === 'old' ? [value, other] : [other, value]
            if (old === fresh || compare(old, fresh)) return end(operation)
          } catch (error) {
            return givenUp(operation, error)
          }
          lookAgain(plan, key, args, operation).then(
            () => end(operation),
            (error: unknown) => givenUp(operation, error),
          )
        },
        // A failed read is the caller's.
        () => end(operation),
      )
    }
    try {
      Promise.resolve(runtime.handler('read', compared)(key, transaction?.reader, ...args)).then(
        found,
        failed,
      )
    } catch (error) {
      failed(error)
    }
  }

  /** A second look or a repair that failed: verification finds the key again. */
  function givenUp(operation: Operation, error: unknown): void {
    env.log.info('a comparison was given up', { migration: runtime.id, error: String(error) })
    end(operation)
  }
}
