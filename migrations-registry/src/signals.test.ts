import { describe, expect, it } from 'vitest'
import { definitionSchema } from './definition.ts'
import { decideSignal, type Signal } from './signals.ts'
import { initialState, type MigrationState } from './state.ts'

const definition = definitionSchema.parse({
  id: 'm',
  title: 't',
  copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { c: 'c' } },
  tripwires: [
    { watch: 'error-rate', path: 'new', above: '2%', window: '1m', samples: 200, do: 'revert' },
    { watch: 'alert', match: { alertname: 'NewPathErrorRate' }, do: 'revert' },
    { watch: 'alert', match: { severity: 'warning' }, do: 'notify' },
  ],
})
const state: MigrationState = {
  ...initialState('m', 1000),
  phase: 'ramp',
  epoch: 7,
  run: { epoch: 5, at: 5000 },
}
const signal: Signal = {
  source: 'alertmanager',
  dedupKey: 'k',
  status: 'firing',
  name: 'NewPathErrorRate',
  labels: { alertname: 'NewPathErrorRate' },
  startedAt: 6000,
  receivedAt: 6500,
  migration: 'm',
}
const plain: Signal = { ...signal, labels: {}, measured: { errorRate: 0.07, samples: 1000, window: 60_000 } }

describe('what an alert does', () => {
  it.each([
    ['a matching alert', signal, state, 'revert', 'alert-matched'],
    ['one that resolved', { ...signal, status: 'resolved' }, state, 'none', 'resolved'],
    ['one of an epoch before what runs now', { ...signal, epoch: 4 }, state, 'none', 'stale'],
    ['one of an earlier step of what runs now', { ...signal, epoch: 5 }, state, 'revert', 'alert-matched'],
    ['one that began before what runs now', { ...signal, startedAt: 4999 }, state, 'none', 'stale'],
    ['one while latched', signal, { ...state, latch: { at: 1, reason: 'r' } }, 'none', 'latched'],
    [
      'one that no tripwire matches',
      { ...signal, labels: { alertname: 'DiskFull' } },
      state,
      'none',
      'no-tripwire',
    ],
    [
      'the gravest of two that match',
      { ...signal, labels: { ...signal.labels, severity: 'warning' } },
      state,
      'revert',
      'alert-matched',
    ],
    ['a measured breach', plain, state, 'revert', 'breach'],
    [
      'too few samples',
      { ...plain, measured: { ...plain.measured, samples: 199 } },
      state,
      'none',
      'too-few-samples',
    ],
    [
      'a rate at the limit',
      { ...plain, measured: { ...plain.measured, errorRate: 0.02 } },
      state,
      'none',
      'below-threshold',
    ],
    ['a rate of the path that no tripwire watches', { ...plain, path: 'old' }, state, 'none', 'no-tripwire'],
  ] as const)('%s', (_, given, at, action, reason) => {
    expect(decideSignal(definition, at as MigrationState, given as Signal)).toMatchObject({ action, reason })
  })

  it('is only written down in a dry run, with what it would have done', () => {
    const dry = {
      ...definition,
      tripwires: definition.tripwires?.map((tripwire) => ({ ...tripwire, dryRun: true })),
    }
    const decision = decideSignal(dry as typeof definition, state, signal)
    expect(decision).toMatchObject({ action: 'none', reason: 'dry-run' })
    expect(decision.explanation).toMatch(/would revert/)
  })

  it('holds by default where the definition names no tripwires', () => {
    const { tripwires: _, ...bare } = definition
    expect(decideSignal(bare, state, signal)).toMatchObject({ action: 'revert' })
  })
})
