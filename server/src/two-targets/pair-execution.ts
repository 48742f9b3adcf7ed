import type { WorkKind } from '@switchback/migrations-registry'
import { assist, backfill } from '../copying/backfill.ts'
import { atPace } from '../copying/paced-order.ts'
import { withThrottle } from '../copying/throttle-signals.ts'
import { copySettings, type ExecutionSettings, executionOn } from '../execution/execution.ts'
import type { Execution, WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { throwIfStopped } from '../target/execution-error.ts'
import { farWay } from './backfill-far.ts'
import type { Targets } from './pair.ts'
import { openFarRepairs, repairSomeFar } from './repair-far.ts'
import { reconcileFar } from './verify-far.ts'

/**
 * The database work of a migration whose paths live in two databases. `expand.sql` and `rollback.sql` are
 * about the database of new, `contract.sql` and its archive about that of old; the rest goes across.
 */
export function pairExecutionOn(targets: Targets, settings: ExecutionSettings): Execution {
  const one = { old: executionOn(targets.old, settings), new: executionOn(targets.new, settings) }
  const copying = copySettings(settings)
  const copyDeps = { ...copying, target: targets.new }
  const prepare = async (migration: string): Promise<void> => {
    await one.old.prepare(migration)
    await one.new.prepare(migration)
  }

  /** Held back by what either database says. */
  const throttled = (order: WorkOrder): WorkOrder =>
    [targets.old, targets.new].reduce(
      (held, target) => withThrottle({ target, clock: settings.clock, ...settings.signals }, held),
      order,
    )

  const kinds: Record<WorkKind, (order: WorkOrder) => Promise<WorkOutcome>> = {
    expand: (order) => one.new.run('expand', order),
    rollback: (order) => one.new.run('rollback', order),
    backfill: (order) => backfill(copyDeps, order, farWay(targets)),
    verify: (order) => reconcileFar(targets, copying, order, 'old'),
    'reverse-backfill': (order) => reconcileFar(targets, copying, order, 'new'),
    contract: (order) => one.old.run('contract', order),
    restore: (order) => one.old.run('restore', order),
  }

  return {
    prepare,
    // Old first, as writes enter: one that was let in there before has entered new when it ends here, or never
    // will, and so is waited for there.
    passFence: async (migration, epoch, signal) => {
      const first = await one.old.passFence(migration, epoch, signal)
      return first.passed ? one.new.passFence(migration, epoch, signal) : first
    },
    // Old is there before new is, and after it has been archived.
    remember: (migration, state) => one.old.remember(migration, state),
    minimum: async (migration) =>
      Math.min(await one.old.minimum(migration), await one.new.minimum(migration)),
    repairs: (migration, inProgress) => openFarRepairs(targets, migration, inProgress),
    failedRows: (migration) => one.new.failedRows(migration),
    listFailedRows: (migration, page) => one.new.listFailedRows(migration, page),
    listRanges: (migration) => one.new.listRanges(migration),
    repairSome: (definition, limit) => repairSomeFar(targets, definition, limit),
    exclusively: (migration, work) => one.old.exclusively(migration, work),
    schema: async () => [...(await one.old.schema()), ...(await one.new.schema())],
    pruneArchives: (definition) => one.old.pruneArchives(definition),
    load: () => one.old.load(),
    acceptSchema: async () => {
      await one.old.acceptSchema()
      await one.new.acceptSchema()
    },
    // A definition cannot ask for it: no trigger writes in another database.
    carry: (definition, on, watch) => one.old.carry(definition, on, watch),
    run: async (kind, order) => {
      throwIfStopped(order.signal)
      await prepare(order.definition.id)
      return kinds[kind](
        atPace({ target: targets.new, clock: settings.clock, ...settings.signals }, throttled(order)),
      )
    },
    assist: (order) => assist(copyDeps, throttled(order), farWay(targets)),
    end: async () => {
      await targets.old.end()
      await targets.new.end()
    },
  }
}
