import {
  type MigrationConfig,
  type Path,
  READ_ROUTES,
  type ReadRule,
  type ReadVariant,
  WRITE_ROUTES,
  type WriteRoute,
} from '@switchback/migrations-registry'
import type { Cell, MeasuredOperation } from '../telemetry/cell.ts'
import type { Recorder } from '../telemetry/recorder.ts'
import type { EpochSlot } from './epoch-ledger.ts'
import type { Handler, HandlerTable } from './handlers.ts'

/** One row of the read table, resolved to what a read needs. */
export interface ReadPlan {
  readonly served: Path
  readonly handler: Handler | undefined
  readonly cell: Cell
  /** Where set, ask first whether the key waits for repair, and serve this path if it does. */
  readonly insteadOfRepair: Path | undefined
  /** Where set, a sample of reads is compared with this path. */
  readonly compared: Path | undefined
}

/** One path of a write, resolved to what a write without a transaction needs. */
export interface WriteStep {
  readonly path: Path
  readonly leads: boolean
  readonly handler: Handler | undefined
  readonly cell: Cell
}

/** Everything that an operation needs to know of one epoch, worked out once when it is applied. */
export interface Plan {
  readonly config: MigrationConfig
  readonly epoch: number
  readonly slot: EpochSlot
  readonly rule: ReadRule
  /** Where all reads do the same: what they do. */
  readonly fixed: ReadPlan | undefined
  readonly reads: Readonly<Record<ReadVariant, ReadPlan>>
  readonly write: WriteRoute
  /** The path that is written and does not lead. */
  readonly secondary: Path | undefined
  readonly cells: Readonly<Record<MeasuredOperation, Readonly<Record<Path, Cell>>>>
  /** In the order of writing. */
  readonly steps: Readonly<Record<'write' | 'remove', readonly WriteStep[]>>
}

export interface PlanOptions {
  readonly handlers: HandlerTable
  readonly recorder: Recorder
  /** Failed secondary writes are queued for repair, so reads of guarded paths have to ask. */
  readonly repairs: boolean
}

export function compilePlan(config: MigrationConfig, slot: EpochSlot, options: PlanOptions): Plan {
  const { handlers, recorder } = options
  const cellsOf = (operation: MeasuredOperation): Record<Path, Cell> => ({
    old: recorder.cell(config.id, config.epoch, 'old', operation),
    new: recorder.cell(config.id, config.epoch, 'new', operation),
  })
  const cells = { read: cellsOf('read'), write: cellsOf('write'), remove: cellsOf('remove') }
  const write = WRITE_ROUTES[config.write]

  const readPlan = (variant: ReadVariant): ReadPlan => {
    const { served, compared } = READ_ROUTES[variant]
    const other = served === 'old' ? 'new' : 'old'
    // The other path holds the key while it is behind here only if writes reach both: with a repair of one
    // path open, a write whose other path fails is refused.
    const guard = options.repairs && config.guarded.includes(served) && write.order.includes(other)
    const compares = compared !== undefined && config.shadow.sample > 0
    return {
      served,
      handler: handlers.read?.[served],
      cell: cells.read[served],
      insteadOfRepair: guard ? other : undefined,
      compared: compares && handlers.read?.[compared] !== undefined ? compared : undefined,
    }
  }
  const stepsOf = (operation: 'write' | 'remove'): WriteStep[] =>
    write.order.map((path) => ({
      path,
      leads: path === write.leader,
      handler: handlers[operation]?.[path],
      cell: cells[operation][path],
    }))
  const reads: Record<ReadVariant, ReadPlan> = {
    old: readPlan('old'),
    'old-shadow': readPlan('old-shadow'),
    'new-shadow': readPlan('new-shadow'),
    new: readPlan('new'),
  }
  return {
    config,
    epoch: config.epoch,
    slot,
    rule: config.read,
    fixed: config.read.kind === 'fixed' ? reads[config.read.variant] : undefined,
    reads,
    write,
    secondary: write.order.find((path) => path !== write.leader),
    cells,
    steps: { write: stepsOf('write'), remove: stepsOf('remove') },
  }
}
