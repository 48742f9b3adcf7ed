import type { MigrationDefinition } from './definition.ts'
import { tripwiresOf } from './definition.ts'
import type { Path } from './phases.ts'
import type { MigrationState, Millis } from './state.ts'
import type { MeasuredTripwire, Tripwire } from './tripwire-schema.ts'
import { nameOf } from './tripwire-schema.ts'

/** One alert as every receiver hands it on, whatever system sent it. */
export interface Signal {
  readonly source: string
  /** Identity of the delivery; the same key twice is a duplicate. */
  readonly dedupKey: string
  readonly status: 'firing' | 'resolved'
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly startedAt: Millis
  readonly receivedAt: Millis
  readonly summary?: string
  /** Where the alert is shown in the system that sent it. */
  readonly link?: string
  readonly migration?: string
  readonly epoch?: number
  readonly path?: Path
  readonly operation?: 'read' | 'write'
  /** For alerts that carry a measurement: a ratio, the number of samples and the window in ms. */
  readonly measured?: {
    readonly errorRate: number
    readonly samples: number
    readonly window: number
  }
}

export type SignalAction = 'revert' | 'pause' | 'notify' | 'none'

export const SIGNAL_REASONS = [
  'breach',
  'alert-matched',
  'resolved',
  'stale',
  'latched',
  'no-migration',
  'no-tripwire',
  'below-threshold',
  'too-few-samples',
  'dry-run',
  'refused',
  'duplicate',
] as const

export type SignalReason = (typeof SIGNAL_REASONS)[number]

/** What is done about a signal, and why; kept with the alert, also where nothing is done. */
export interface SignalDecision {
  readonly action: SignalAction
  readonly reason: SignalReason
  readonly explanation: string
  readonly tripwire?: Tripwire
}

const decision = (
  action: SignalAction,
  reason: SignalReason,
  explanation: string,
  tripwire?: Tripwire,
): SignalDecision => ({
  action,
  reason,
  explanation,
  ...(tripwire === undefined ? {} : { tripwire }),
})

const percent = (ratio: number): string => `${Number((ratio * 100).toFixed(3))}%`
const iso = (at: Millis): string => new Date(at).toISOString()

/** Decides about an alert. Pure; whether a revert is possible is decided by the transition. */
export function decideSignal(
  definition: MigrationDefinition,
  state: MigrationState,
  signal: Signal,
): SignalDecision {
  if (signal.status === 'resolved') {
    return decision('none', 'resolved', 'A resolved alert never undoes a revert.')
  }
  if (state.latch !== undefined) {
    return decision('none', 'latched', `Latched since ${iso(state.latch.at)}: ${state.latch.reason}`)
  }
  if (signal.epoch !== undefined && signal.epoch < state.run.epoch) {
    return decision(
      'none',
      'stale',
      `Speaks of epoch ${signal.epoch}; what runs now began with epoch ${state.run.epoch}.`,
    )
  }
  if (signal.startedAt < state.run.at) {
    return decision(
      'none',
      'stale',
      `Began at ${iso(signal.startedAt)}, before what runs now (${iso(state.run.at)}).`,
    )
  }
  const { measured } = signal
  const candidates =
    measured === undefined
      ? tripwiresOf(definition).flatMap((tripwire) => {
          if (tripwire.watch !== 'alert') return []
          const matches = Object.entries(tripwire.match).every(
            ([label, value]) => signal.labels[label] === value,
          )
          return matches
            ? [
                decision(
                  tripwire.do,
                  'alert-matched',
                  `${signal.name} matches the tripwire ${nameOf(tripwire)}.`,
                  tripwire,
                ),
              ]
            : []
        })
      : tripwiresOf(definition).flatMap((tripwire) =>
          tripwire.watch === 'error-rate' &&
          tripwire.path === (signal.path ?? 'new') &&
          (tripwire.operation === undefined || tripwire.operation === signal.operation)
            ? [judgeRate(tripwire, measured.errorRate, measured.samples)]
            : [],
        )
  const chosen = candidates.sort((a, b) => WEIGHT[b.action] - WEIGHT[a.action])[0]
  if (chosen === undefined) {
    return decision('none', 'no-tripwire', `No tripwire of ${definition.id} matches ${signal.name}.`)
  }
  if (chosen.action !== 'none' && chosen.tripwire?.dryRun === true) {
    return decision(
      'none',
      'dry-run',
      `${chosen.explanation} Dry run: would ${chosen.action}.`,
      chosen.tripwire,
    )
  }
  return chosen
}

const WEIGHT: Readonly<Record<SignalAction, number>> = {
  none: 0,
  notify: 1,
  pause: 2,
  revert: 3,
}

function judgeRate(tripwire: MeasuredTripwire, rate: number, samples: number): SignalDecision {
  const limit = typeof tripwire.above === 'number' ? tripwire.above : undefined
  if (limit === undefined) {
    return decision(
      'none',
      'no-tripwire',
      'A rate relative to old needs both paths; an alert carries one.',
      tripwire,
    )
  }
  if (samples < tripwire.samples) {
    return decision(
      'none',
      'too-few-samples',
      `${samples} samples; the tripwire wants ${tripwire.samples}.`,
      tripwire,
    )
  }
  if (rate <= limit) {
    return decision('none', 'below-threshold', `${percent(rate)} is not above ${percent(limit)}.`, tripwire)
  }
  return decision(
    tripwire.do,
    'breach',
    `${tripwire.path} fails ${percent(rate)} of ${samples} operations; the limit is ${percent(limit)}.`,
    tripwire,
  )
}
