import { describe, expect, it } from 'vitest'
import { definitionSchema } from './definition.ts'
import { autopilotHolds } from './tripwires.ts'
import { define, errors, NOW, verdictOf, verdictsOf } from './tripwires-for-tests.ts'
import type { DatabaseReading } from './verdict.ts'

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
    expect(autopilotHolds(verdictsOf([{ ...errors, dryRun: true }], [{ count: 5 }]), 1)).toEqual([])
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
