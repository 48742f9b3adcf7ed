import type { Path } from '@switchback/migrations-registry'
import { LeaseExpiredError } from '../error.ts'
import { type MeasuredOperation, recordFailure, recordSuccess } from '../telemetry/cell.ts'
import { beginOperation, endOperation } from './epoch-ledger.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'
import type { Call, RouterEnv } from './router-env.ts'
import { createSettle } from './settle.ts'

/**
 * Writes without a common transaction: old, then new, one after the other. Not crash-safe: a process that
 * dies between the two leaves them apart, and a failure of the path that does not lead is only reported.
 */
export function createBareWrites(env: RouterEnv, runtime: MigrationRuntime, kind: MeasuredOperation): Call {
  const { clock } = env
  const { onSecondaryFailure, onSecondaryError } = runtime.options

  const settle = createSettle(clock)

  const one = (plan: Plan, path: Path, key: unknown, args: readonly unknown[]): Promise<unknown> => {
    const handler = runtime.handler(kind, path)
    const operation = beginOperation(plan.slot, kind, clock.now())
    const cell = plan.cells[kind][path]
    try {
      return settle(operation, cell, handler(key, undefined, ...args))
    } catch (error) {
      return settle(operation, cell, Promise.reject(error))
    }
  }

  const both = async (plan: Plan, key: unknown, args: readonly unknown[]): Promise<unknown> => {
    // Both looked up before the first runs: a missing one must not leave half a write.
    const handlers = plan.write.order.map((path) => ({ path, handler: runtime.handler(kind, path) }))
    const operation = beginOperation(plan.slot, kind, clock.now())
    try {
      let result: unknown
      let startedAt = operation.startedAt
      for (const { path, handler } of handlers) {
        const cell = plan.cells[kind][path]
        try {
          const value = await handler(key, undefined, ...args)
          const endedAt = clock.now()
          recordSuccess(cell, endedAt - startedAt)
          startedAt = endedAt
          if (path === plan.write.leader) result = value
        } catch (error) {
          const endedAt = clock.now()
          recordFailure(cell, endedAt - startedAt, error)
          startedAt = endedAt
          if (path === plan.write.leader) throw error
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
      return plan.secondary === undefined ? one(plan, plan.write.leader, key, args) : both(plan, key, args)
    } catch (error) {
      return Promise.reject(error)
    }
  }
  return write
}
