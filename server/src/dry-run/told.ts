import type { CatalogDifference } from '../catalog/compare-catalogs.ts'
import { blocks, holdsUpTraffic, strongest } from '../lint/locks.ts'
import type { PlannedLock, StatementPlan } from '../plan/statement-plan.ts'
import { type Holder, inTheWayOf } from '../target/holders.ts'
import { type Estimate, estimateOf, type Measured, measuredInTarget } from './estimate.ts'
import type { RanStatement } from './ran.ts'
import type { TableFacts } from './target-facts.ts'

export interface DryStatement extends StatementPlan {
  /** Whether the locks were seen, or are those that PostgreSQL's manual tells of. */
  readonly seen: boolean
  readonly rewrites: readonly string[]
  readonly scans: readonly string[]
  /** What it changed in the catalog. */
  readonly changes: readonly CatalogDifference[]
  /** Milliseconds that it would take with its locks in hand. */
  readonly estimateMs: number
  /** The same, with how sure that is. */
  readonly estimate: Estimate
  /** Sessions that it would have to wait for at this moment. */
  readonly inTheWay: readonly Holder[]
  readonly error?: string
}

/** What is told of a statement: what it did where it ran, and what that means for the target. */
export function told(
  ran: RanStatement,
  facts: ReadonlyMap<string, TableFacts>,
  holders: readonly Holder[],
): DryStatement {
  const { plan, rehearsed, changes } = ran
  const seen = rehearsed?.seen === true
  const isNew = (table: string): boolean =>
    plan.locks.some((lock) => lock.on === table && lock.new) || !facts.has(table)
  const locks: readonly PlannedLock[] = seen
    ? strongest(rehearsed.locks).map(({ mode, on }) => ({ mode, on, blocks: blocks(mode), new: isNew(on) }))
    : plan.locks
  const rewrites = rehearsed?.rewrites ?? []
  const scans = (rehearsed?.scans ?? []).filter((table) => !isNew(table))
  const rewriting = rewrites.some((table) => !isNew(table)) ? 'rewrite' : plan.work
  const work = rewriting === 'catalog' && scans.length > 0 ? 'scan' : rewriting
  const worked = new Set([...rewrites, ...scans, ...locks.map(({ on }) => on)])
  const known = [...worked].flatMap((table) => facts.get(table) ?? [])
  const estimate =
    ran.inTarget === true && rehearsed?.ms !== undefined
      ? measuredInTarget(rehearsed.ms)
      : estimateOf(work, known, measuredOf(ran, known))
  return {
    ...plan,
    work,
    locks,
    seen,
    blocking: locks.some((lock) => !lock.new && holdsUpTraffic(lock.mode)),
    rewrites,
    scans,
    changes,
    estimateMs: estimate.ms,
    estimate,
    inTheWay: locks.flatMap((lock) => (lock.new ? [] : inTheWayOf(holders, lock))),
    ...(rehearsed?.error === undefined ? {} : { error: rehearsed.error }),
  }
}

/** How long it took on the scratch copy, beside how much it worked on there. */
function measuredOf(
  { rehearsed, before, slowdown = 1 }: RanStatement,
  tables: readonly TableFacts[],
): Measured | undefined {
  if (rehearsed?.ms === undefined || before === undefined || rehearsed.error !== undefined) return undefined
  const sizes = tables.flatMap(({ table }) => before.get(table) ?? [])
  return {
    ms: rehearsed.ms,
    bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
    rows: sizes.reduce((sum, { rows }) => sum + rows, 0),
    slowdown,
  }
}
