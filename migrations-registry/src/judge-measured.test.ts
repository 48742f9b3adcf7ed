import { describe, expect, it } from 'vitest'
import type { MigrationState } from './state.ts'
import { errors, MINUTE, NOW, ramp, type Told, verdictOf } from './tripwires-for-tests.ts'

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
      'both failing, and new worse by no more than chance does in one of many looks',
      errors,
      paths({ count: 120, errors: 66 }, { count: 120, errors: 40 }),
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
