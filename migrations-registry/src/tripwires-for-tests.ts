import { definitionSchema } from './definition.ts'
import type { Path } from './phases.ts'
import { initialState, type MigrationState } from './state.ts'
import { evaluateTripwires } from './tripwires.ts'
import type { TripwireFacts } from './verdict.ts'
import { createWindows, spansOf } from './windows.ts'
import { LATENCY_BUCKETS_MS, type Measurement } from './wire.ts'

export const NOW = 10_000_000
export const MINUTE = 60_000

export const define = (tripwires?: readonly object[]) =>
  definitionSchema.parse({
    id: 'm',
    title: 't',
    copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { c: 'c' } },
    ...(tripwires === undefined ? {} : { tripwires }),
  })
export const ramp: MigrationState = {
  ...initialState('m', 0),
  phase: 'ramp',
  epoch: 7,
  rollout: { step: 0, share: 0.5, canary: [] },
  run: { epoch: 5, at: NOW - 60 * MINUTE },
}

export interface Told {
  readonly path?: Path
  readonly operation?: 'read' | 'write'
  readonly count: number
  readonly errors?: number
  readonly epoch?: number
  readonly ms?: number
  readonly mismatches?: number
  readonly compared?: number
  /** Milliseconds before now. */
  readonly ago?: number
}

export const measurement = (told: Told): Measurement => {
  const { count, errors = 0, ms = 1, path = 'new', operation = 'read', epoch = 7 } = told
  const latency = new Array<number>(LATENCY_BUCKETS_MS.length + 1).fill(0)
  latency[LATENCY_BUCKETS_MS.findIndex((bound) => ms <= bound)] = count
  return {
    migration: 'm',
    epoch,
    path,
    operation,
    count,
    errors: errors === 0 ? {} : { ECONNREFUSED: errors },
    latency,
    mismatches: told.mismatches ?? 0,
    compared: told.compared ?? 0,
    secondaryFailures: 0,
  }
}

export function verdictsOf(
  tripwires: readonly object[] | undefined,
  told: readonly Told[],
  more: Partial<TripwireFacts> = {},
  state = ramp,
) {
  const definition = define(tripwires)
  const windows = createWindows(spansOf(definition))
  for (const each of [...told].sort((a, b) => (b.ago ?? 0) - (a.ago ?? 0))) {
    windows.add(measurement(each), NOW - (each.ago ?? 0))
  }
  return evaluateTripwires(definition, state, {
    now: NOW,
    windows,
    database: {},
    live: 1,
    listeningSince: 0,
    ...more,
  })
}
export const verdictOf = (
  tripwire: object,
  told: readonly Told[],
  more: Partial<TripwireFacts> = {},
  state = ramp,
) => verdictsOf([tripwire], told, more, state)[0]

/** The tripwire that most cases are about. */
export const errors = { watch: 'error-rate', above: '2%', window: '1m', samples: 100, do: 'revert' }
