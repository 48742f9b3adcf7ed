import type { Context } from './context.ts'
import type { Draft, Severity } from './finding.ts'
import type { Statement } from './script.ts'

/** A rule with its page: what it says there is tried by the tests. */
export interface Rule {
  readonly id: string
  readonly severity: Severity
  /** One sentence, of what is found. */
  readonly title: string
  /** Which lock it is about or what breaks, and why that matters. */
  readonly why: string
  /** What to do. */
  readonly instead: string
  /** SQL that yields this finding. */
  readonly bad?: string
  /** SQL that does the same and yields none. */
  readonly good?: string
  /** Rules of other linters that this one covers. */
  readonly peers: readonly string[]
  readonly check: (statement: Statement, context: Context) => readonly Draft[]
}
