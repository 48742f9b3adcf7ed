import type { Path } from '@switchback/migrations-registry'
import { prove } from '../comparing/verify.ts'
import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import type { Patience } from '../target/persistently.ts'
import { comparingFar } from './comparing-far.ts'
import { describeFarMapping, farPair, type Targets } from './pair.ts'

/**
 * Compares both tables across the databases by checksums, repairs from the leader what stands under the locks
 * of its key. For the way there and, led by new, for the way back.
 */
export const reconcileFar = (
  targets: Targets,
  patience: Patience,
  order: WorkOrder,
  leader: Path,
): Promise<WorkOutcome> =>
  // Old first, as everybody takes them: its connection is had before that of new.
  prove({ ...patience, target: targets.old }, order, async () => {
    const mapping = await describeFarMapping(targets, order.definition)
    return comparingFar(targets, await farPair(targets, mapping, leader), order.signal)
  })
