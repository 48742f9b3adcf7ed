import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { describeMapping } from '../mapping/mapping.ts'
import { reverseMapping } from '../mapping/reverse-mapping.ts'
import { createProgress } from '../target/progress.ts'
import type { Pair } from './compare.ts'
import { comparingTables } from './comparing.ts'
import { type ReconcileDeps, reconcile } from './reconcile.ts'

async function run(deps: ReconcileDeps, order: WorkOrder, leader: Pair['leader']): Promise<WorkOutcome> {
  const began = deps.clock()
  const mapping = await describeMapping(deps.target, order.definition)
  const pair: Pair =
    leader === 'old' ? { mapping, leader } : { mapping, leader, reverse: await reverseMapping(mapping) }
  const progress = createProgress(order.report, deps.clock)
  try {
    const { divergences, differing, ...detail } = await reconcile(
      deps,
      order,
      await comparingTables(deps.target, pair),
      progress,
    )
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
export const verify = (deps: ReconcileDeps, order: WorkOrder): Promise<WorkOutcome> => run(deps, order, 'old')

/**
 * Brings old up to new, which leads, and proves it. What differs is found by comparing, in one snapshot for
 * each range, and copied under the locks of its keys. That is enough because everyone writes both by now:
 * a key that is equal in one snapshot stays equal, and only keys written since old was left are copied.
 */
export const reverseBackfill = (deps: ReconcileDeps, order: WorkOrder): Promise<WorkOutcome> =>
  run(deps, order, 'new')
