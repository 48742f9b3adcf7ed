import type { KeyRecord, LedgerSummary } from './ledger.ts'

/** What the demo tells an application instance. */
export type ToApp =
  | { readonly type: 'fail-new-reads'; readonly share: number }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'ledger' }
  | { readonly type: 'stop' }

/** Counts of reads by path since the start, for the error rate that the alert carries. */
export interface PathCounts {
  readonly old: { readonly reads: number; readonly errors: number }
  readonly new: { readonly reads: number; readonly errors: number }
}

/** What an application instance tells the demo. */
export type FromApp =
  | { readonly type: 'ready' }
  | { readonly type: 'paused' }
  | { readonly type: 'stats'; readonly summary: LedgerSummary; readonly paths: PathCounts }
  | { readonly type: 'ledger'; readonly summary: LedgerSummary; readonly records: readonly KeyRecord[] }

/** Settings of an application instance, as JSON in its environment. */
export interface AppSettings {
  readonly instance: string
  readonly switchbackUrl: string
  readonly token: string
  readonly databaseUrl: string
  readonly rows: number
  readonly seed: number
  /** Operations at a time, and pause after each in ms. */
  readonly concurrency: number
  readonly pauseMs: number
}
