import { describe, expect, test } from 'vitest'
import { definitionSchema } from './definition.ts'
import { judgeGate } from './gate.ts'
import { PHASES, type Phase } from './phases.ts'
import { initialState, type MigrationState } from './state.ts'
import { transition } from './transition.ts'

const definition = definitionSchema.parse({
  id: 'm',
  title: 'M',
  copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { v: 'v' } },
})
const standing = (phase: Phase, more: Partial<MigrationState> = {}): MigrationState => ({
  ...initialState('m', 0),
  phase,
  epoch: 5,
  complete: { old: true, new: true },
  ...more,
})
const verify = (state: MigrationState) =>
  transition(state, { type: 'verify' }, { definition, now: 1, oldestLive: 0 })
const work = (status: 'pending' | 'running' | 'done' | 'failed', kind: 'verify' | 'backfill' = 'verify') => ({
  work: { kind, epoch: 5, status },
})

describe('a verification that a person asks for', () => {
  test.each(PHASES)('in %s begins only where both are written and old leads', (phase) => {
    const outcome = verify(standing(phase))
    if (phase === 'shadow' || phase === 'ramp') {
      expect(outcome).toMatchObject({
        ok: true,
        state: { phase, epoch: 5, work: { kind: 'verify', epoch: 5, status: 'pending' } },
        effects: [{ type: 'wake-engine' }],
      })
    } else {
      expect(outcome).toMatchObject({ ok: false, refusal: { code: 'verification-not-open' } })
    }
  })

  test.each([
    ['has ended', work('done'), true],
    ['has failed', work('failed'), true],
    ['waits', work('pending'), 'work-under-way'],
    ['runs', work('running'), 'work-under-way'],
    ['is paused', { paused: true }, 'verification-not-open'],
  ] as const)('where the one before %s', (_, more, expected) => {
    const outcome = verify(standing('shadow', more))
    expect(outcome.ok ? true : outcome.refusal.code).toBe(expected)
  })

  test('holds the gate until it has ended, and its result is that of the phase', () => {
    const asked = verify(standing('ramp'))
    if (!asked.ok) throw new Error(asked.refusal.message)
    const facts = {
      now: 1,
      instances: [],
      repairs: { old: 0, new: 0 },
      failedRows: 0,
      hasContractSql: true,
      dependencies: [],
    }
    expect(judgeGate(definition, asked.state, facts).blockers.map(({ code }) => code)).toEqual([
      'work-running',
    ])
    const ends = (divergences: number) =>
      transition(
        asked.state,
        { type: 'work-done', kind: 'verify', epoch: 5, divergences },
        { definition, now: 1, oldestLive: 0 },
      )
    expect(ends(0)).toMatchObject({ ok: true, state: { phase: 'ramp', work: { status: 'done' } } })
    expect(ends(2)).toMatchObject({ ok: true, state: { work: { status: 'failed' } } })
  })
})
