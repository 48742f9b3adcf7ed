import type { StatementPlan } from '../plan/statement-plan.ts'
import type { TableFacts } from './target-facts.ts'

// What one core and an ordinary disk manage, rather low: an estimate that is too long does less harm.
const BYTES_PER_SECOND = { scan: 200e6, 'index build': 40e6, rewrite: 40e6 } as const
const ROWS_PER_SECOND = 50_000
const CATALOG_MS = 5

/** Milliseconds that a statement would take on tables of this size, once it has its locks. */
export function estimateMs(work: StatementPlan['work'], tables: readonly TableFacts[]): number {
  const sum = (of: (facts: TableFacts) => number): number =>
    tables.reduce((total, facts) => total + of(facts), 0)
  if (work === 'catalog') return CATALOG_MS
  if (work === 'rows') return CATALOG_MS + Math.round((sum(({ rows }) => rows) / ROWS_PER_SECOND) * 1000)
  const bytes = work === 'rewrite' ? sum(({ totalBytes }) => totalBytes) : sum((facts) => facts.bytes)
  return CATALOG_MS + Math.round((bytes / BYTES_PER_SECOND[work]) * 1000)
}
