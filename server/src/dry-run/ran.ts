import type { CatalogDifference } from '../catalog/compare-catalogs.ts'
import type { PlannedFile, StatementPlan } from '../plan/statement-plan.ts'
import type { Rehearsed } from './rehearse.ts'
import type { RehearsedCopy } from './rehearse-copy.ts'
import type { Sample } from './sample.ts'
import type { Scratch } from './scratch.ts'

/** Bytes and rows by table. */
export type Sizes = ReadonlyMap<string, { readonly bytes: number; readonly rows: number }>

/** A statement, and what it was seen to do. */
export interface RanStatement {
  readonly plan: StatementPlan
  readonly rehearsed: Rehearsed | undefined
  readonly changes: readonly CatalogDifference[]
  /** Tables of a scratch copy with rows, right before it ran there. */
  readonly before?: Sizes
  /** How much slower the target is than the machine of the scratch copy. */
  readonly slowdown?: number
  /** It ran in the target itself. */
  readonly inTarget?: boolean
}

/** What came of running the files of a migration. */
export interface Ran {
  readonly statements: readonly RanStatement[]
  /** Files that were not run, with the reason. */
  readonly skipped: readonly { readonly file: PlannedFile; readonly reason: string }[]
  /** What is other than before after expand.sql and rollback.sql; empty where rollback undoes all. */
  readonly rollbackLeaves: readonly CatalogDifference[]
  readonly notCopied: Scratch['notCopied']
  /** Rows of the target that the scratch copy held; undefined where it held none. */
  readonly sample?: Sample
  /** What came of copying the sampled rows from old to new, between expand.sql and contract.sql. */
  readonly copy?: RehearsedCopy
  readonly version: { readonly scratch?: string }
}
