export const NOTICE_KINDS = [
  'reverted',
  'revert-asked',
  'revert-refused',
  'verified',
  'verification-failed',
  'verification-inconclusive',
  'unanswered',
  'acknowledged',
  'resolved',
  'work-failed',
  'paused',
  'completed',
  'test',
] as const
export type NoticeKind = (typeof NOTICE_KINDS)[number]

export type Severity = 'critical' | 'warning' | 'info'

/** What is told, before it takes the form of a channel. Times are Unix milliseconds. */
export interface Notice {
  readonly kind: NoticeKind
  readonly severity: Severity
  readonly title: string
  readonly text: string
  readonly at: number
  readonly migration?: string
  readonly incident?: string
  readonly facts: readonly { readonly name: string; readonly value: string }[]
  readonly links: readonly { readonly title: string; readonly url: string }[]
}

/** Kinds for which contacts are called one after the other, until somebody acknowledges. */
export const PAGES: ReadonlySet<NoticeKind> = new Set([
  'reverted',
  'revert-asked',
  'revert-refused',
  'verification-failed',
])
