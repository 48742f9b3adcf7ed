import type { Guard } from '../transaction/transaction-port.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'

/** What a write of one key has to pass. In `planned` the target may have no schema for it, and one path is written. */
export function guardOf(plan: Plan, key: string): Guard {
  const { id, epoch, fenced } = plan.config
  if (fenced) return { kind: 'fence', migration: id, epoch, key }
  // Without it, `DELETE old` that sees nothing, an insert of both, `DELETE new` leave the paths apart.
  return plan.secondary === undefined ? { kind: 'none' } : { kind: 'lock', migration: id, key }
}

/** Whether the path that runs first does not lead, so that the savepoint has to be there before it. */
export const savepointFirst = (plan: Plan, runtime: MigrationRuntime): boolean =>
  plan.secondary !== undefined &&
  plan.write.order[0] === plan.secondary &&
  runtime.options.onSecondaryFailure === 'repair'
