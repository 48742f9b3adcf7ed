import type { StatementPlan } from '../plan/statement-plan.ts'
import type { TableFacts } from './target-facts.ts'

/** How long a statement would take in the target once it has its locks, in milliseconds. */
export interface Estimate {
  readonly ms: number
  /** It would surprise if it took less, or more. */
  readonly lowMs: number
  readonly highMs: number
  readonly basis: 'catalog only' | 'measured in the target' | 'measured on a sample' | 'assumed rates'
}

/** A statement as it ran on sampled rows. */
export interface Measured {
  readonly ms: number
  /** Of the tables that it worked on, before it ran. */
  readonly bytes: number
  readonly rows: number
  /** How much slower the target reads than the machine of the scratch copy. */
  readonly slowdown: number
}

// What one core and an ordinary disk manage, rather low: an estimate that is too long does less harm.
const BYTES_PER_SECOND = { scan: 200e6, 'index build': 40e6, rewrite: 40e6 } as const
const ROWS_PER_SECOND = 50_000
/** What a statement takes that touches no rows. */
const CATALOG_MS = 5
/** Less than this on a sample is mostly what any statement takes. */
const TELLING_MS = 3
const FIXED_MS = 2

const within = (ms: number, faster: number, slower: number, basis: Estimate['basis']): Estimate => ({
  ms: Math.round(ms),
  lowMs: Math.floor(ms / faster),
  highMs: Math.ceil(ms * slower),
  basis,
})

export const measuredInTarget = (ms: number): Estimate => within(ms, 1.5, 1.5, 'measured in the target')

/** @param tables those that the statement works on, as they are in the target */
export function estimateOf(
  work: StatementPlan['work'],
  tables: readonly TableFacts[],
  measured?: Measured,
): Estimate {
  if (work === 'catalog') return { ms: CATALOG_MS, lowMs: 1, highMs: 50, basis: 'catalog only' }
  const sum = (of: (facts: TableFacts) => number): number =>
    tables.reduce((total, facts) => total + of(facts), 0)
  const bytes = work === 'rewrite' ? sum(({ totalBytes }) => totalBytes) : sum((facts) => facts.bytes)
  const rows = sum((facts) => facts.rows)
  if (measured !== undefined && measured.ms >= TELLING_MS && measured.bytes > 0) {
    // Rows where both sides know them: small tables are mostly page ends.
    const larger = Math.max(
      1,
      rows > 0 && measured.rows > 0 ? rows / measured.rows : sum((facts) => facts.bytes) / measured.bytes,
    )
    const perRow = (measured.ms - FIXED_MS) * larger * measured.slowdown
    // Sorting takes more than in proportion.
    const sorting = work === 'index build' ? Math.log2(1000 * larger) / Math.log2(1000) : 1
    return within(FIXED_MS + perRow * sorting, ...certainty(larger), 'measured on a sample')
  }
  const seconds = work === 'rows' ? rows / ROWS_PER_SECOND : bytes / BYTES_PER_SECOND[work]
  return within(CATALOG_MS + seconds * 1000, 4, 4, 'assumed rates')
}

/**
 * How much faster and slower it may go. The smaller the part that was measured, the less is known; and what does not
 * fit into memory any more, as the sample did, goes slower rather than faster.
 */
function certainty(larger: number): readonly [faster: number, slower: number] {
  if (larger <= 2) return [1.5, 1.5]
  if (larger <= 20) return [2, 3]
  return larger <= 500 ? [3, 6] : [4, 8]
}
