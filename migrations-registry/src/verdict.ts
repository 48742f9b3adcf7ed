import type { Millis } from './state.ts'
import type { DatabaseSignal } from './tripwire-schema.ts'
import type { OperationKind, Windows } from './windows.ts'

export type TripwireOutcome = 'breach' | 'fine' | 'inconclusive'

export const VERDICT_REASONS = [
  'breach',
  'both-paths',
  'dry-run',
  'latched',
  'below-limit',
  'over',
  'not-in-use',
  'too-few-samples',
  'not-in-a-row',
  'not-proven',
  'no-reading',
] as const
export type VerdictReason = (typeof VERDICT_REASONS)[number]

/** What a judgement rests on; ratios 0 to 1, times in ms. */
export interface VerdictNumbers {
  readonly value?: number
  readonly limit?: number
  readonly samples?: number
  /** The same measurement of the other path, where it was looked at. */
  readonly other?: number
  readonly otherSamples?: number
  /** Errors by class. */
  readonly errors?: Readonly<Record<string, number>>
  /** When what failed began to, as far as the window reaches back. */
  readonly firstBadAt?: Millis
}

/** What one rule comes to, before it is asked what may be done about it. */
export interface Judgement {
  readonly outcome: TripwireOutcome
  readonly reason: VerdictReason
  readonly explanation: string
  readonly numbers: VerdictNumbers
  readonly operation?: OperationKind
}

/** One reading of a signal of the target; undefined value where it cannot be read, and why. */
export interface DatabaseReading {
  readonly at: Millis
  readonly value?: number
  readonly problem?: string
}

export interface TripwireFacts {
  readonly now: Millis
  readonly windows: Windows
  /** Readings of the target, oldest first. */
  readonly database: Readonly<Partial<Record<DatabaseSignal, readonly DatabaseReading[]>>>
  /** Live instances that have handlers for this migration. */
  readonly live: number
  /** Since when this server has been listening: silence before says nothing. */
  readonly listeningSince: Millis
}
