import type { Path } from '@switchback/migrations-registry'
import { recordFailure, recordSuccess } from '../telemetry/cell.ts'
import type { TransactionPort } from '../transaction/transaction-port.ts'
import { beginOperation, endOperation } from './epoch-ledger.ts'
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

  const look = async (
    plan: Plan,
    served: Path,
    compared: Path,
    key: unknown,
    args: readonly unknown[],
    result: Promise<unknown>,
    limit: { readonly passed: () => boolean; readonly lift: () => void },
  ): Promise<void> => {
    const cell = plan.cells.read[compared]
    const startedAt = clock.now()
    let other: unknown
    try {
      other = await runtime.handler('read', compared)(key, transaction?.reader, ...args)
      recordSuccess(cell, clock.now() - startedAt)
    } catch (error) {
      recordFailure(cell, clock.now() - startedAt, error)
      return
    }
    const both = { [served]: await result, [compared]: other }
    if (limit.passed()) return
    // Comparisons are told under new, whichever path was served: new is what is on trial.
    const trial = plan.cells.read.new
    trial.compared++
    if (compare(both.old, both.new) || !(await stands(key, args)) || limit.passed()) return
    trial.mismatches++
    env.log.warn('old and new differ', { migration: runtime.id, epoch: plan.epoch, key: runtime.textOf(key) })
    if (transaction !== undefined && plan.secondary !== undefined) {
      // What follows writes: it is in flight until it is over, however long that takes.
      limit.lift()
      await queue(transaction, plan, plan.secondary, key, args)
    }
  }

  return (plan, served, compared, key, args, result) => {
    const { sample, concurrency, timeout } = plan.config.shadow
    if (sample < 1 && env.random() >= sample) return
    if (active >= concurrency) {
      runtime.shadowDropped++
      return
    }
    active++
    const operation = beginOperation(plan.slot, 'compare', clock.now())
    const end = (): void => {
      if (operation.ended) return
      active--
      endOperation(operation)
    }
    // What is late has no further effect, so it need not hold up the drain of its epoch.
    const cancel = clock.after(timeout, () => {
      runtime.shadowDropped++
      end()
    })
    look(plan, served, compared, key, args, result, { passed: () => operation.ended, lift: cancel })
      // A failed read is the caller's, a failed second look or repair is found again by verification.
      .catch((error: unknown) => {
        env.log.info('a comparison was given up', { migration: runtime.id, error: String(error) })
      })
      .finally(() => {
        cancel()
        end()
      })
  }
}
