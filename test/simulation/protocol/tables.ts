import type { MigrationState } from '@switchback/migrations-registry'
import { table } from '../database/relation.ts'
import type { Repair } from '../database/target.ts'

/** Id of the one migration under simulation. */
export const MIGRATION = 'm'

export const TABLES = { old: table<string>('old'), new: table<string>('new') } as const

/** `switchback.fences`: what was passed, and the newest state that the target has been told of. */
export interface FenceRow {
  readonly passed: number
  readonly seen: number
  readonly state: MigrationState | undefined
}
export const FENCES = table<FenceRow>('switchback.fences')
/** `switchback.checkpoints`: ranges of a backfill that are done. */
export const CHECKPOINTS = table<boolean>('switchback.checkpoints')

/** `switchback.copies`: the horizon of a copy, by its epoch. */
export const COPIES = table<number>('switchback.copies')

/** `switchback.repairs` with the columns that its worker uses. */
export interface RepairRow extends Repair {
  readonly copied?: boolean
  readonly settlesAfter?: number
}
export const REPAIR_ROWS = table<RepairRow>('switchback.repairs')
