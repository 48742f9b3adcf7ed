import { describe, expect, it } from 'vitest'
import { judgeGate, undrained } from './gate.ts'
import type { MigrationState } from './state.ts'
import { cause, context, definition, must, revertBy, standingAt } from './states-for-tests.ts'
import { transition } from './transition.ts'

describe('the gate', () => {
  const facts = {
    now: 1_000_000,
    instances: [],
    repairs: { old: 0, new: 0 },
    failedRows: 0,
    hasContractSql: true,
    dependencies: [],
  }
  const live = (epoch: number) => ({
    id: 'a',
    app: 'rides-api',
    version: '1',
    leaseUntil: 2_000_000,
    lastSeen: 999_000,
    handlers: ['old', 'new'] as const,
    onLeaseExpired: 'hold' as const,
    applied: epoch,
    drained: epoch,
    fenced: true,
  })
  const back = (): MigrationState => {
    const { latch: _, ...reverted } = must(standingAt('promoted'), revertBy(cause))
    return reverted
  }
  const codes = (state: MigrationState, more: object) =>
    judgeGate(definition, state, { ...facts, ...more }).blockers.map((blocker) => blocker.code)

  const running = (state: MigrationState): MigrationState => ({
    ...state,
    work: { kind: 'verify', epoch: state.epoch, status: 'running' },
  })
  const latch = { at: 5, reason: 'errors' }
  const away = { id: 'elsewhere', phase: 'ramp' } as const
  it.each<[string, string[], MigrationState, object?]>([
    ['latched', ['latched'], { ...standingAt('ramp'), latch }],
    ['paused', ['paused'], { ...standingAt('ramp'), paused: true }],
    [
      'going back further',
      ['revert-pending'],
      { ...standingAt('ramp'), pending: { to: 'expanded', reason: 'r', by: 'ann', since: 5 } },
    ],
    ['at work', ['work-running'], running(standingAt('ramp'))],
    [
      'with work that failed',
      ['work-failed'],
      { ...standingAt('ramp'), work: { kind: 'verify', epoch: 1, status: 'failed', error: 'no room' } },
    ],
    [
      'not verified since the last backfill',
      ['not-verified'],
      { ...standingAt('shadow'), complete: { old: true, new: false } },
    ],
    ['with rows that could not be copied', ['rows-failed'], standingAt('backfill'), { failedRows: 2 }],
    ['with rows that were left out before', [], standingAt('ramp'), { failedRows: 2 }],
    ['dependent', ['dependency'], standingAt('planned'), { dependencies: [away] }],
    ['dependent on what is there', [], standingAt('planned'), { dependencies: [{ ...away, done: true }] }],
    ['dependent no more', [], standingAt('expanded'), { dependencies: [away] }],
    ['as the schema asks', ['drift'], standingAt('planned'), { schema: [{ code: 'drift' }] }],
    ['behind in old after a step back', ['repairs-open'], back(), { repairs: { old: 1, new: 0 } }],
    ['behind in new after a step back', [], back(), { repairs: { old: 0, new: 1 } }],
  ])('of a migration that is %s names %j', (_name, expected, state, more = {}) => {
    expect(codes(state, more)).toEqual(expected)
  })

  it('opens when every instance has drained the present epoch', () => {
    const state = standingAt('dual-write')
    expect(codes(state, { instances: [live(state.epoch)] })).toEqual([])
    expect(codes(state, { instances: [live(state.epoch - 1)] })).toEqual(['instance-not-drained'])
    const applied = { ...live(state.epoch), drained: state.epoch - 1 }
    expect(codes(state, { instances: [applied] })).toEqual(['instance-not-drained'])
  })

  it('names an instance whose handlers the next phase needs and that it has not', () => {
    const state = standingAt('expanded')
    const instance = { ...live(state.epoch), handlers: ['old'] as const }
    expect(codes(state, { instances: [instance] })).toEqual(['instance-missing-handlers'])
    // One that stops at the end of its lease serves until then like any other.
    const stops = { ...instance, onLeaseExpired: 'stop' as const }
    expect(codes(state, { instances: [stops] })).toEqual(['instance-missing-handlers'])
    expect(codes(state, { instances: [{ ...stops, leaseUntil: 1 }] })).not.toContain(
      'instance-missing-handlers',
    )
  })

  it('names a lapsed instance whose writes nothing stops, and passes over one that the fence stops', () => {
    const state = standingAt('dual-write')
    const lapsed = { ...live(state.epoch), leaseUntil: 1 }
    expect(codes(state, { instances: [{ ...lapsed, fenced: false }] })).toEqual(['instance-lapsed'])
    expect(codes(state, { instances: [lapsed] })).toEqual([])
  })

  it('takes the reads of an instance that stops by itself for over, and its writes only behind the fence', () => {
    const state = standingAt('promoted')
    const stops = { ...live(state.epoch - 2), leaseUntil: 1, onLeaseExpired: 'stop' as const }
    expect(codes(state, { instances: [stops] })).toEqual([])
    // Held up inside of a transaction, it may still commit what it had begun.
    expect(codes(state, { instances: [{ ...stops, fenced: false }] })).toEqual(['instance-incompatible'])
    expect(undrained(definition, state, { now: facts.now, instances: [stops] })).toEqual([])
    expect(
      undrained(definition, state, { now: facts.now, instances: [{ ...stops, fenced: false }] }),
    ).toHaveLength(1)
  })

  it('does not take the fence for enough before retired: a stale reader of old blocks', () => {
    const state = standingAt('promoted')
    const stale = { ...live(state.epoch - 2), leaseUntil: 1 }
    expect(codes(state, { instances: [stale] })).toEqual(['instance-incompatible'])
  })

  it('waits for repairs before the path that is behind is relied upon', () => {
    expect(codes(standingAt('ramp'), { repairs: { old: 0, new: 2 } })).toEqual(['repairs-open'])
    expect(codes(standingAt('ramp'), { repairs: undefined })).toEqual(['target-unreachable'])
  })

  it('wants approvals and contract.sql before contract', () => {
    const strict = { ...definition, contract: { ...definition.contract, approvals: 1 } }
    const gate = judgeGate(strict, standingAt('retired'), { ...facts, hasContractSql: false })
    expect(gate.blockers.map((blocker) => blocker.code)).toEqual([
      'approvals-missing',
      'contract-sql-missing',
    ])
  })

  it('counts no approval of whoever asks for the step: it takes a second person', () => {
    const strict = { ...definition, contract: { ...definition.contract, approvals: 1 } }
    const state = must(standingAt('retired'), { type: 'approve', by: 'ann' })
    const blockers = (by?: string) =>
      judgeGate(strict, state, { ...facts, ...(by === undefined ? {} : { asker: { by } }) }).blockers
    expect(blockers('ann').map(({ code, message }) => [code, message])).toEqual([
      ['approvals-missing', '1 of 1 approvals are missing; that of ann, who asks, does not count.'],
    ])
    expect([blockers('bob'), blockers()]).toEqual([[], []])
    expect(transition(state, { type: 'approve', by: 'ann' }, context())).toMatchObject({
      refusal: { code: 'already-approved' },
    })
  })
})
