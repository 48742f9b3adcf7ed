import { blocks, type LockMode } from './locks.ts'

export type Severity = 'error' | 'warning'

/** The lock a statement takes. */
export interface Lock {
  readonly mode: LockMode
  readonly on: string
  /** Reads, writes or other work that waits meanwhile. */
  readonly blocks: string
}

export const lock = (mode: LockMode, on: string): Lock => ({ mode, on, blocks: blocks(mode) })

export interface Finding {
  readonly rule: string
  readonly severity: Severity
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1, in code points. */
  readonly column: number
  readonly endLine: number
  readonly endColumn: number
  readonly message: string
  readonly lock: Lock | null
  /** SQL that replaces the whole statement, or null where there is no one safe way. */
  readonly fix: string | null
  /** Our page on the rule. */
  readonly docs: string
}

/** What a rule says; the rest of the finding comes from the rule and the statement. */
export interface Draft {
  /** Byte offset; the start of the statement where there is none. */
  readonly at?: number
  /** Where the marked part ends, in bytes; one word where there is none. */
  readonly to?: number
  readonly message: string
  readonly lock?: Lock
  readonly fix?: string | undefined
}

export const docsOf = (rule: string): string => `docs/rules/${rule}.md`
