import { type Path, readVariantFor } from '@switchback/migrations-registry'
import { LeaseExpiredError } from '../error.ts'
import type { Cell } from '../telemetry/cell.ts'
import { beginOperation, type Operation } from './epoch-ledger.ts'
import type { Handler } from './handlers.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan, ReadPlan } from './plan.ts'
import { readPlacesOf } from './read-places.ts'
import type { Call, RouterEnv } from './router-env.ts'
import { createSettle } from './settle.ts'
import { createShadow } from './shadow.ts'

/** What reads of this plan do for one key. */
export const readPlanFor = (plan: Plan, env: RouterEnv, runtime: MigrationRuntime, key: unknown): ReadPlan =>
  plan.fixed ?? plan.reads[readVariantFor(plan.rule, runtime.textOf(key), env.instance)]

/**
 * The read operation of a migration. A read of one path adds no promise but the one that the caller gets:
 * this is the hottest code of the SDK.
 */
export function createReads(env: RouterEnv, runtime: MigrationRuntime): Call {
  const { clock } = env
  const { readers, repairOpen } = readPlacesOf(runtime.options)
  const shadow = createShadow(env, runtime)

  const { lease } = env
  // The path may have been given up while the read was under way: then it is not to be relied on.
  const settle = createSettle(
    clock,
    lease === undefined
      ? undefined
      : (operation) => {
          if (!lease.heldSince(operation.startedAt)) throw new LeaseExpiredError()
        },
  )

  const serve = (
    operation: Operation,
    handler: Handler,
    path: Path,
    cell: Cell,
    key: unknown,
    args: readonly unknown[],
  ): Promise<unknown> => {
    try {
      return settle(operation, cell, handler(key, readers[path], ...args))
    } catch (error) {
      return settle(operation, cell, Promise.reject(error))
    }
  }

  /** First asks whether the key waits for repair. First: a repair that ends afterwards is seen by the read. */
  const serveGuarded = async (
    plan: Plan,
    route: ReadPlan,
    key: unknown,
    args: readonly unknown[],
  ): Promise<unknown> => {
    const operation = beginOperation(plan.slot, 'read', clock.now())
    let path = route.served
    try {
      const open = await repairOpen(runtime.id, runtime.textOf(key), route.served)
      if (open && route.insteadOfRepair !== undefined) path = route.insteadOfRepair
    } catch (error) {
      return settle(operation, route.cell, Promise.reject(error))
    }
    const served = serve(operation, runtime.handler('read', path), path, plan.cells.read[path], key, args)
    if (path === route.served && route.compared !== undefined) {
      shadow(plan, route.served, route.compared, key, args, served)
    }
    return served
  }

  const read: Call = (key, args) => {
    if (runtime.gate !== undefined) return runtime.gate.then(() => read(key, args))
    try {
      if (env.lease?.expired()) throw new LeaseExpiredError()
      const { plan } = runtime
      const route = readPlanFor(plan, env, runtime, key)
      const handler = route.handler ?? runtime.handler('read', route.served)
      if (route.insteadOfRepair !== undefined) return serveGuarded(plan, route, key, args)
      const operation = beginOperation(plan.slot, 'read', clock.now())
      const served = serve(operation, handler, route.served, route.cell, key, args)
      if (route.compared !== undefined) shadow(plan, route.served, route.compared, key, args, served)
      return served
    } catch (error) {
      return Promise.reject(error)
    }
  }
  return read
}
