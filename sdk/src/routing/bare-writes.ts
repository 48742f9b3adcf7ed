import { LeaseExpiredError } from '../error.ts'
import { recordFailure, recordSuccess } from '../telemetry/cell.ts'
import { beginOperation, endOperation } from './epoch-ledger.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan, WriteStep } from './plan.ts'
import type { Call, RouterEnv } from './router-env.ts'
import { createSettle } from './settle.ts'

/**
 * Writes without a common transaction: old, then new, one after the other. Not crash-safe: a process that
 * dies between the two leaves them apart, and a failure of the path that does not lead is only reported.
 */
export function createBareWrites(env: RouterEnv, runtime: MigrationRuntime, kind: 'write' | 'remove'): Call {
  const { clock } = env
  const { onSecondaryFailure, onSecondaryError } = runtime.options

  const settle = createSettle(clock)

  const handlerOf = ({ handler, path }: WriteStep) => handler ?? runtime.handler(kind, path)

  const one = (plan: Plan, step: WriteStep, key: unknown, args: readonly unknown[]): Promise<unknown> => {
    const handler = handlerOf(step)
    const operation = beginOperation(plan.slot, kind, clock.now())
    try {
      return settle(operation, step.cell, handler(key, undefined, ...args))
    } catch (error) {
      return settle(operation, step.cell, Promise.reject(error))
    }
  }

  /** What comes of a path that has failed: the caller's error, or a report where the path does not lead. */
  const failed = (plan: Plan, { path, leads, cell }: WriteStep, key: unknown, error: unknown): void => {
    if (leads) throw error
    cell.secondaryFailures++
    if (onSecondaryFailure === 'fail') throw error
    const failure = {
      migration: runtime.id,
      epoch: plan.epoch,
      operation: kind,
      path,
      key: runtime.textOf(key),
    }
    env.log.warn('the path that does not lead was not written', { ...failure, error: String(error) })
    onSecondaryError?.({ ...failure, error, queued: false })
  }

  // One function with one promise of its own: this is called for every write of the application.
  const both = async (
    plan: Plan,
    first: WriteStep,
    second: WriteStep,
    key: unknown,
    args: readonly unknown[],
  ): Promise<unknown> => {
    // Both looked up before the first runs: a missing one must not leave half a write.
    const writeFirst = handlerOf(first)
    const writeSecond = handlerOf(second)
    const operation = beginOperation(plan.slot, kind, clock.now())
    let startedAt = operation.startedAt
    try {
      let result: unknown
      try {
        const value = await writeFirst(key, undefined, ...args)
        const endedAt = clock.now()
        recordSuccess(first.cell, endedAt - startedAt)
        startedAt = endedAt
        if (first.leads) result = value
      } catch (error) {
        const endedAt = clock.now()
        recordFailure(first.cell, endedAt - startedAt, error)
        startedAt = endedAt
        failed(plan, first, key, error)
      }
      try {
        const value = await writeSecond(key, undefined, ...args)
        recordSuccess(second.cell, clock.now() - startedAt)
        if (second.leads) result = value
      } catch (error) {
        recordFailure(second.cell, clock.now() - startedAt, error)
        failed(plan, second, key, error)
      }
      return result
    } finally {
      endOperation(operation)
    }
  }

  const write: Call = (key, args) => {
    if (runtime.gate !== undefined) return runtime.gate.then(() => write(key, args))
    try {
      if (env.lease?.expired()) throw new LeaseExpiredError()
      const { plan } = runtime
      const [first, second] = plan.steps[kind]
      if (first === undefined) throw new Error(`no path is written in epoch ${plan.epoch}`)
      return second === undefined ? one(plan, first, key, args) : both(plan, first, second, key, args)
    } catch (error) {
      return Promise.reject(error)
    }
  }
  return write
}
