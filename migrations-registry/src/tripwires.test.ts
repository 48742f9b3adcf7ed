import { describe, expect, it } from 'vitest'
import { definitionSchema } from './definition.ts'
<<<<<<< HEAD
import type { Path } from './phases.ts'
import { initialState, type MigrationState } from './state.ts'
import { latencyQuantile, leastDifference } from './statistics.ts'
import { autopilotHolds, evaluateTripwires } from './tripwires.ts'
import type { DatabaseReading, TripwireFacts } from './verdict.ts'
import { createWindows, spansOf } from './windows.ts'
import { LATENCY_BUCKETS_MS, type Measurement } from './wire.ts'

const NOW = 10_000_000
const MINUTE = 60_000

const define = (tripwires?: readonly object[]) =>
  definitionSchema.parse({
    id: 'm',
    title: 't',
    copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { c: 'c' } },
    ...(tripwires === undefined ? {} : { tripwires }),
  })
const ramp: MigrationState = {
  ...initialState('m', 0),
  phase: 'ramp',
  epoch: 7,
  rollout: { step: 0, share: 0.5, canary: [] },
  run: { epoch: 5, at: NOW - 60 * MINUTE },
}

interface Told {
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

const measurement = (told: Told): Measurement => {
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

function verdictsOf(
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
const verdictOf = (
  tripwire: object,
  told: readonly Told[],
  more: Partial<TripwireFacts> = {},
  state = ramp,
) => verdictsOf([tripwire], told, more, state)[0]

const errors = { watch: 'error-rate', above: '2%', window: '1m', samples: 100, do: 'revert' }
const twice = { ...errors, for: 2 }
const slower = { watch: 'latency-p99', above: '2x old', window: '1m', samples: 100, do: 'revert' }
const paths = (own: Told, old: Told): Told[] => [own, { ...old, path: 'old' }]

describe('a measured tripwire', () => {
  it.each([
    ['above the limit', errors, [{ count: 1000, errors: 30 }], 'breach', 'breach', 'revert'],
    ['at the limit', errors, [{ count: 1000, errors: 20 }], 'fine', 'below-limit', 'none'],
    [
      'low traffic, all of it failing',
      errors,
      [{ count: 99, errors: 99 }],
      'inconclusive',
      'too-few-samples',
      'none',
    ],
    [
      'failing writes among many reads that are well',
      errors,
      [{ count: 100_000 }, { operation: 'write', count: 200, errors: 20 }],
      'breach',
      'breach',
      'revert',
    ],
    [
      'reads and writes that are enough only together',
      errors,
      [
        { count: 60, errors: 30 },
        { operation: 'write', count: 60 },
      ],
      'breach',
      'breach',
      'revert',
    ],
    [
      'what is older than the window',
      errors,
      [{ count: 1000, errors: 900, ago: 61_000 }],
      'inconclusive',
      'too-few-samples',
      'none',
    ],
    [
      'a late measurement of an epoch before this run',
      errors,
      [{ count: 1000, errors: 900, epoch: 4 }],
      'inconclusive',
      'too-few-samples',
      'none',
    ],
    [
      'an earlier step of this run',
      errors,
      [{ count: 1000, errors: 900, epoch: 5 }],
      'breach',
      'breach',
      'revert',
    ],
    [
      'a spike of one window, where two are asked for',
      twice,
      [
        { count: 1000, errors: 500 },
        { count: 1000, ago: MINUTE + 1000 },
      ],
      'inconclusive',
      'not-in-a-row',
      'none',
    ],
    [
      'two windows in a row',
      twice,
      [
        { count: 1000, errors: 500 },
        { count: 1000, errors: 500, ago: MINUTE + 1000 },
      ],
      'breach',
      'breach',
      'revert',
    ],
    [
      'a spike that is over, where a short window is asked as well',
      { ...errors, shortWindow: '5s' },
      [{ count: 1000, errors: 500, ago: 20_000 }, { count: 100 }],
      'fine',
      'over',
      'none',
    ],
    [
      'a breach in the short window and in the long one',
      { ...errors, shortWindow: '5s' },
      [
        { count: 1000, errors: 500, ago: 20_000 },
        { count: 100, errors: 50 },
      ],
      'breach',
      'breach',
      'revert',
    ],
    [
      'both paths failing alike',
      errors,
      paths({ count: 1000, errors: 300 }, { count: 900, errors: 280 }),
      'breach',
      'both-paths',
      'notify',
    ],
    [
      'the beginning of an outage of both, with more good samples of old before it',
      errors,
      [
        { path: 'old', count: 5000, ago: 30_000 },
        { count: 200, errors: 60 },
        { path: 'old', count: 200, errors: 58 },
      ],
      'breach',
      'both-paths',
      'notify',
    ],
    [
      'the beginning of an outage of both, just after old had far more good samples than new',
      errors,
      [
        { path: 'old', count: 400, ago: 9_000 },
        { count: 40, ago: 9_000 },
        { path: 'old', count: 60, errors: 30 },
        { count: 60, errors: 30 },
      ],
      'breach',
      'both-paths',
      'notify',
    ],
    [
      'new failing alone now, after an outage of both',
      errors,
      [
        { count: 500, errors: 250, ago: 30_000 },
        { path: 'old', count: 500, errors: 250, ago: 30_000 },
        { count: 200, errors: 60 },
        { path: 'old', count: 200 },
      ],
      'breach',
      'breach',
      'revert',
    ],
    [
      'an outage of both that is over',
      errors,
      [
        { count: 500, errors: 250, ago: 30_000 },
        { path: 'old', count: 500, errors: 250, ago: 30_000 },
        { count: 200 },
        { path: 'old', count: 200 },
      ],
      'breach',
      'both-paths',
      'notify',
    ],
    [
      'both failing, and new far worse',
      errors,
      paths({ count: 1000, errors: 300 }, { count: 900, errors: 30 }),
      'breach',
      'breach',
      'revert',
    ],
    [
      'old failing too little to take the blame off new',
      errors,
      paths({ count: 1000, errors: 300 }, { count: 20, errors: 7 }),
      'breach',
      'breach',
      'revert',
    ],
    ['dry run', { ...errors, dryRun: true }, [{ count: 1000, errors: 500 }], 'breach', 'dry-run', 'none'],
    [
      'new three times slower',
      slower,
      paths({ count: 500, ms: 96 }, { count: 500, ms: 32 }),
      'breach',
      'breach',
      'revert',
    ],
    [
      'new as fast as old',
      slower,
      paths({ count: 500, ms: 32 }, { count: 500, ms: 32 }),
      'fine',
      'below-limit',
      'none',
    ],
    [
      'three times slower, and still next to nothing',
      slower,
      paths({ count: 500, ms: 0.5 }, { count: 500, ms: 0.1 }),
      'fine',
      'below-limit',
      'none',
    ],
    [
      'nothing of old to compare with',
      slower,
      [{ count: 500, ms: 96 }],
      'inconclusive',
      'too-few-samples',
      'none',
    ],
    [
      'latency above a fixed limit on both paths',
      { ...slower, above: '50ms' },
      paths({ count: 500, ms: 96 }, { count: 500, ms: 96 }),
      'breach',
      'both-paths',
      'notify',
    ],
    [
      'more errors than old, certainly',
      { ...errors, above: 'old + 1%' },
      paths({ count: 5000, errors: 150 }, { count: 5000, errors: 25 }),
      'breach',
      'breach',
      'revert',
    ],
    [
      'more errors than old, and it may be chance',
      { ...errors, above: 'old + 1%' },
      paths({ count: 200, errors: 5 }, { count: 200, errors: 2 }),
      'inconclusive',
      'not-proven',
      'none',
    ],
    [
      'more errors than double, and it may be chance',
      { ...errors, above: '2x old' },
      paths({ count: 200, errors: 3 }, { count: 200, errors: 1 }),
      'inconclusive',
      'not-proven',
      'none',
    ],
    [
      'mismatches',
      { watch: 'mismatch-rate', above: '0.1%', samples: 1000, do: 'pause' },
      [{ count: 5000, compared: 5000, mismatches: 6 }],
      'breach',
      'breach',
      'pause',
    ],
  ] as const)('%s', (_name, tripwire, told, outcome, reason, action) => {
    expect(verdictOf(tripwire, told)).toMatchObject({ outcome, reason, action })
  })

  it('says what it saw', () => {
    const verdict = verdictOf(errors, [
      { count: 1000, errors: 500, ago: 10_000 },
      { path: 'old', count: 400 },
    ])
    expect(verdict?.explanation).toBe(
      'error-rate of reads of new is 50% of 1000, of the other path 0% of 400; the limit is 2%.',
    )
    expect(verdict?.numbers).toMatchObject({
      value: 0.5,
      samples: 1000,
      other: 0,
      errors: { ECONNREFUSED: 500 },
    })
    expect(verdict?.numbers.firstBadAt).toBeGreaterThan(NOW - 13_001)
    expect(verdict?.operation).toBe('read')
  })

  it.each([
    ['latched', { ...ramp, latch: { at: NOW, reason: 'r' } }, 'latched', 'none'],
    ['paused', { ...ramp, paused: true }, 'breach', 'revert'],
  ] as const)('is evaluated while the migration is %s', (_name, state, reason, action) => {
    expect(verdictOf(errors, [{ count: 1000, errors: 500 }], {}, state)).toMatchObject({
      outcome: 'breach',
      reason,
      action,
    })
  })

  it('counts nothing from before a re-arm', () => {
    const rearmed = { ...ramp, run: { epoch: 7, at: NOW - 10_000 } }
    const told = [{ count: 1000, errors: 900, ago: 14_000 }, { count: 200 }]
    expect(verdictOf(errors, told, {}, rearmed)).toMatchObject({ outcome: 'fine' })
  })

  it('is fine where its path is not in use', () => {
    const state: MigrationState = { ...ramp, phase: 'expanded' }
    expect(verdictOf(errors, [], {}, state)).toMatchObject({ outcome: 'fine', reason: 'not-in-use' })
  })
})
=======
import { autopilotHolds } from './tripwires.ts'
import { define, errors, NOW, verdictOf, verdictsOf } from './tripwires-for-tests.ts'
import type { DatabaseReading } from './verdict.ts'
>>>>>>> b714f60

describe('the dead man’s switch', () => {
  const silence = { watch: 'telemetry', missing: '2m', do: 'pause' }
  it.each([
    ['telemetry that stopped', [{ count: 10, ago: 121_000 }], {}, 'breach', 'pause'],
    ['telemetry that comes', [{ count: 10, ago: 119_000 }], {}, 'fine', 'none'],
    ['nobody there to tell', [], { live: 0 }, 'fine', 'none'],
    ['a server that has just begun to listen', [], { listeningSince: NOW - 1000 }, 'fine', 'none'],
    ['silence from the beginning', [], {}, 'breach', 'pause'],
  ] as const)('%s', (_name, told, more, outcome, action) => {
    expect(verdictOf(silence, told, more)).toMatchObject({ outcome, action })
  })
})

describe('a signal of the target', () => {
  const waits = { watch: 'database', signal: 'lock-waits', above: 5, for: 3, do: 'pause' }
  const readings = (...values: (number | undefined)[]): DatabaseReading[] =>
    values.map((value, i) => (value === undefined ? { at: i, problem: 'away' } : { at: i, value }))
  it.each([
    ['three in a row', readings(0, 6, 7, 8), 'breach', 'pause'],
    ['two in a row', readings(0, 7, 8), 'inconclusive', 'none'],
    ['back below', readings(7, 8, 9, 1), 'fine', 'none'],
    ['not to be read', readings(7, 8, undefined), 'inconclusive', 'none'],
    ['never read', [], 'inconclusive', 'none'],
  ] as const)('%s', (_name, given, outcome, action) => {
    expect(verdictOf(waits, [], { database: { 'lock-waits': given } })).toMatchObject({ outcome, action })
  })
})

describe('autopilot', () => {
  it('is held by what cannot be told, and not where nobody is there to be measured', () => {
    const verdicts = verdictsOf([errors], [{ count: 5 }])
    expect(autopilotHolds(verdicts, 1)).toEqual([expect.stringContaining('5 samples of new')])
    expect(autopilotHolds(verdicts, 0)).toEqual([])
    expect(autopilotHolds(verdictsOf([errors], [{ count: 500 }]), 1)).toEqual([])
  })
})

describe('default tripwires', () => {
  it('revert within a second of traffic that fails outright, without waiting for 2% of a minute', () => {
    const verdicts = verdictsOf(undefined, [
      { count: 60_000, ago: 10_000 },
      { count: 5000, ago: 3000 },
      { count: 600, errors: 600 },
    ])
    expect(verdicts.filter(({ action }) => action === 'revert').map(({ name }) => name)).toEqual([
      'error-rate of new above 10% over 5s',
    ])
  })
})

describe('a definition', () => {
  it.each([
    [{ ...errors, above: 2 }, 'error-rate is a ratio'],
    [{ ...errors, path: 'old', above: '2x old' }, 'old cannot be measured against itself'],
    [{ watch: 'mismatch-rate', above: '2x old', do: 'pause' }, 'no counterpart on old'],
    [{ ...errors, shortWindow: '1m' }, 'expected less than the window'],
    [{ ...errors, above: 'lots' }, 'expected a percentage ("2%")'],
    [{ ...errors, window: '100ms' }, 'expected at least 1s'],
    [{ watch: 'telemetry', missing: '1s', do: 'pause' }, 'expected at least 5s'],
  ])('is told what is wrong with %j', (tripwire, message) => {
    const { copy, id, title } = define()
    const parsed = definitionSchema.safeParse({
      id,
      title,
      copy: { ...copy, chunk: {} },
      tripwires: [tripwire],
    })
    expect(parsed.error?.message).toContain(message.replaceAll('"', '\\"'))
  })
})
