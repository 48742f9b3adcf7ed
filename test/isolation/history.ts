import type { Committed } from './stepped-pool.ts'

export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

export const LEVELS: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable']

/** Rows of a path: value by key. */
export type Rows = Readonly<Record<number, string>>

export interface Initial {
  readonly old: Rows
  readonly new: Rows
  /** Lowest epoch that may write. */
  readonly minimum?: number
}

export interface Difference {
  readonly key: number
  readonly old: string | null
  readonly new: string | null
  /** The path whose repair is queued; never both. */
  readonly queued: 'old' | 'new' | 'both' | null
}

/** A committed change of one key: its value, or null where it was removed. */
export interface Change {
  readonly key: number
  readonly value: string | null
}

export interface Commit extends Committed {
  readonly changes: readonly Change[]
}

/** What happened in one round. */
export interface History {
  readonly trace: readonly string[]
  /** In their order. */
  readonly commits: readonly Commit[]
  /** When `passFence` returned for which epoch. */
  readonly passed: readonly { readonly epoch: number; readonly at: number }[]
  readonly reads: readonly Read[]
  /** Operations that failed, as their callers saw it. */
  readonly refused: readonly { readonly actor: string; readonly error: unknown }[]
  /** Deadlocks that PostgreSQL ended at the cost of an application. */
  readonly deadlocks: number
}

export interface Read {
  readonly key: number
  readonly value: string | null
  readonly from: number
  readonly to: number
}

/** Rows that were there before, with what was committed since. */
export function rowsAfter(before: Rows, commits: readonly Commit[]): ReadonlyMap<number, string> {
  const rows = new Map(Object.entries(before).map(([key, value]) => [Number(key), value]))
  for (const { changes } of commits) {
    for (const { key, value } of changes) {
      if (value === null) rows.delete(key)
      else rows.set(key, value)
    }
  }
  return rows
}
