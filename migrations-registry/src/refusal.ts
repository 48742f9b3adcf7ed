/** Why an event cannot happen now; an expected outcome, not a fault. Every code has one meaning. */
export const REFUSAL_CODES = [
  'gate-closed',
  'nothing-left',
  'nothing-to-revert',
  'old-incomplete',
  'restore-needed',
  'point-of-no-return',
  'not-in-ramp',
  'share-not-allowed',
  'not-latched',
  'already-latched',
  'stale-work',
  'no-work-to-retry',
  'work-under-way',
  'verification-not-open',
  'flags-incompatible',
  'no-rollback-sql',
  'approval-not-open',
  'already-approved',
  'path-not-behind',
  'run-over',
  'revert-not-safe',
  'definition-in-use',
  'mapping-not-invertible',
  'unknown-migration',
  'epoch-known',
  'target-not-compared',
  'store-was-behind',
  'moved-on',
] as const

export type RefusalCode = (typeof REFUSAL_CODES)[number]

export interface Refusal {
  readonly code: RefusalCode
  /** What was wrong, with the names and numbers concerned. */
  readonly message: string
  /** What to do about it. */
  readonly action: string
}

export const refuse = (
  code: RefusalCode,
  message: string,
  action: string,
): { ok: false; refusal: Refusal } => ({
  ok: false,
  refusal: { code, message, action },
})
