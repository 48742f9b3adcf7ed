import type { MigrationDefinition, WorkKind } from '@switchback/migrations-registry'
import { prove } from '../comparing/verify.ts'
import { assist, backfill } from '../copying/backfill.ts'
import { atPace } from '../copying/paced-order.ts'
import { withThrottle } from '../copying/throttle-signals.ts'
import { copySettings, type ExecutionSettings, executionOn } from '../execution/execution.ts'
import type { Execution, WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { reverseMapping } from '../mapping/reverse-mapping.ts'
import type { Target } from '../target/target.ts'
import { TableRewritten } from '../walks/blocks.ts'
import { type CalledStep, calledStep } from './called-step.ts'
import { comparingBack } from './compare-back.ts'
import { comparingByStep } from './compare-step.ts'
import { stepWay } from './copy-step.ts'
import type { Steps } from './load-step.ts'
import { repairSomeByStep } from './repair-step.ts'
import { describeStepMapping } from './step-mapping.ts'

/**
 * The database work of migrations whose new is written by a step. `target` is the database of old, and keeps
 * checkpoints, repairs and the fence; SQL files run there.
 */
export function stepExecutionOn(target: Target, settings: ExecutionSettings, steps: Steps): Execution {
  const here = executionOn(target, settings)
  const copying = { target, ...copySettings(settings) }
  const called = async (definition: MigrationDefinition, signal: AbortSignal): Promise<CalledStep> =>
    calledStep(await steps.load(definition), definition.id, signal)
  const signals = { target, clock: settings.clock, ...settings.signals }
  const throttled = (order: WorkOrder): WorkOrder => withThrottle(signals, order)

  async function compare(order: WorkOrder, back: boolean): Promise<WorkOutcome> {
    try {
      return await prove(copying, order, async () => {
        const step = await called(order.definition, order.signal)
        const mapping = await describeStepMapping(target, order.definition)
        return back
          ? comparingBack(target, { mapping, reverse: await reverseMapping(mapping) }, step)
          : comparingByStep(target, mapping, step)
      })
    } catch (error) {
      // Its ranges say nothing any more: the next try begins with the first row.
      if (error instanceof TableRewritten) {
        const { id } = order.definition
        await target.query('delete from switchback.verifications where migration = $1', [id])
      }
      throw error
    }
  }

  const kinds: Partial<Record<WorkKind, (order: WorkOrder) => Promise<WorkOutcome>>> = {
    backfill: async (order) =>
      backfill(copying, order, stepWay(copying, await called(order.definition, order.signal))),
    verify: (order) => compare(order, false),
    'reverse-backfill': (order) => compare(order, true),
  }

  return {
    ...here,
    repairSome: (definition, limit) =>
      repairSomeByStep(target, definition, () => called(definition, new AbortController().signal), limit),
    run: async (kind, order) => {
      const work = kinds[kind]
      if (work === undefined) return here.run(kind, order)
      await here.prepare(order.definition.id)
      return work(atPace(signals, throttled(order)))
    },
    assist: async (order) => {
      // A worker without the code leaves the ranges to those that have it.
      if ((await steps.missing(order.definition)) !== undefined) return false
      return assist(copying, throttled(order), stepWay(copying, await called(order.definition, order.signal)))
    },
  }
}
