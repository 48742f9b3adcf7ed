import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { describeMapping } from '../mapping/mapping.ts'
import { reverseMapping } from '../mapping/reverse-mapping.ts'
import { createProgress } from '../target/progress.ts'
import type { Pair } from './compare.ts'
import { type Comparing, comparingTables } from './comparing.ts'
import { type ReconcileDeps, reconcile } from './reconcile.ts'

/** Proves that both paths are equal, and repairs what is not; `describe` says how they are compared. */
export async function prove(
  deps: ReconcileDeps,
  order: WorkOrder,
  describe: () => Promise<Comparing>,
): Promise<WorkOutcome> {
  const began = deps.clock()
  const way = await describe()
  const progress = createProgress(order.report, deps.clock)
  try {
    const { divergences, differing, ...detail } = await reconcile(deps, order, way, progress)
    return {
      divergences,
      compared: { rows: detail.compared, differing, left: divergences },
      detail: { ...detail, ms: deps.clock() - began },
    }
  } finally {
    progress.end()
  }
}

/** Proves that new equals old, which leads; repairs what does not. */
export const verify = (deps: ReconcileDeps, order: WorkOrder): Promise<WorkOutcome> =>
  prove(deps, order, async () => {
    const pair: Pair = { mapping: await describeMapping(deps.target, order.definition), leader: 'old' }
    return comparingTables(deps.target, pair)
  })

/**
 * Brings old up to new, which leads, and proves it. What differs is found by comparing, in one snapshot for
 * each range, and copied under the locks of its keys. That is enough because everyone writes both by now:
 * a key that is equal in one snapshot stays equal, and only keys written since old was left are copied.
 */
export const reverseBackfill = (deps: ReconcileDeps, order: WorkOrder): Promise<WorkOutcome> =>
  prove(deps, order, async () => {
    const mapping = await describeMapping(deps.target, order.definition)
    return comparingTables(deps.target, { mapping, leader: 'new', reverse: await reverseMapping(mapping) })
  })
