import { describe, expect, it } from 'vitest'
import type { MigrationEvent, Transition } from './events.ts'
import { PHASES, type Phase } from './phases.ts'
import { currentRouting, initialState, type MigrationState } from './state.ts'
import {
  advance,
  apply,
  automatic,
  cause,
  definition,
  must,
  revertBy,
  standingAt,
  workDone,
} from './states-for-tests.ts'
import { throttleOf } from './throttle.ts'
import { transition } from './transition.ts'

describe('the way forward', () => {
  it('visits every phase, each with an epoch of its own, through every step of the rollout', () => {
    let state = initialState(definition.id, 0)
    const visited: string[] = []
    for (let i = 0; i < 20 && state.phase !== 'contracted'; i++) {
      state = must(state, advance)
      if (state.work?.status === 'pending') state = must(state, workDone(state))
      visited.push(`${state.epoch} ${state.phase} ${state.rollout.step}:${state.rollout.share}`)
    }
    expect(visited).toEqual([
      '2 expanded -1:0',
      '3 dual-write -1:0',
      '4 backfill -1:0',
      '5 shadow -1:0',
      '6 ramp 0:0',
      '7 ramp 1:0.1',
      '8 ramp 2:0.5',
      '9 ramp 3:1',
      '10 promoted -1:0',
      '11 retired -1:0',
      '12 contracted -1:0',
    ])
  })

  it.each([
    ['planned', 'old', 'old'],
    ['expanded', 'old', 'old'],
    ['dual-write', 'dual-old', 'old'],
    ['backfill', 'dual-old', 'old'],
    ['shadow', 'dual-old', 'old-shadow'],
    ['ramp', 'dual-old', 'split'],
    ['promoted', 'dual-new', 'new-shadow'],
    ['retired', 'new', 'new'],
    ['contracted', 'new', 'new'],
  ] as const)('%s writes %s and reads %s', (phase, write, read) => {
    const routing = currentRouting(definition.id, standingAt(phase))
    expect(routing.write).toBe(write)
    expect(routing.read.kind === 'fixed' ? routing.read.variant : 'split').toBe(read)
  })

  it('is refused with the blockers while the gate is closed', () => {
    const blocker = {
      code: 'soak',
      subject: 'm',
      message: 'Soaks.',
      action: 'Wait.',
      forceable: true,
    } as const
    const result = apply(standingAt('ramp'), { ...advance, blockers: [blocker] })
    expect(result).toMatchObject({ ok: false, refusal: { code: 'gate-closed' } })
  })

  it('ends at expanded for a migration without paths', () => {
    const { copy: _, ...plain } = definition
    let state = initialState('m', 0)
    state = must(state, advance)
    state = must(state, workDone(state))
    const result = transition(state, advance, { definition: plain, now: 1, oldestLive: 0 })
    expect(result).toMatchObject({ ok: false, refusal: { code: 'nothing-left' } })
  })
})

describe('what is proven about the paths (I4)', () => {
  it.each([
    ['planned', true, false],
    ['expanded', true, false],
    ['dual-write', true, false],
    ['backfill', true, false],
    ['shadow', true, true],
    ['ramp', true, true],
    ['promoted', true, true],
    ['retired', false, true],
    ['contracted', false, true],
  ] as const)('%s: old complete %s, new complete %s', (phase, old, fresh) => {
    expect(standingAt(phase).complete).toEqual({ old, new: fresh })
  })

  it('does not take new for complete when verification found differences', () => {
    let state = standingAt('backfill')
    state = must(state, advance)
    state = must(state, workDone(state, 3))
    expect(state.complete.new).toBe(false)
    expect(state.work).toMatchObject({ status: 'failed', error: '3 keys still differ after repair' })
  })

  it('forgets the proof when dual writes stop', () => {
    const back = must(must(standingAt('ramp'), revertBy(cause)), revertBy(cause))
    expect(back.phase).toBe('expanded')
    expect(back.complete.new).toBe(false)
  })
})

describe('a revert', () => {
  it('is not made for what was measured in an earlier run', () => {
    const state = standingAt('ramp')
    const asked = { ...revertBy(automatic), run: state.run } as MigrationEvent
    expect(apply(state, asked).ok).toBe(true)
    for (const run of [
      { ...state.run, epoch: state.run.epoch + 1 },
      { ...state.run, at: state.run.at + 1 },
    ]) {
      expect(apply({ ...state, run }, asked)).toMatchObject({ ok: false, refusal: { code: 'run-over' } })
    }
  })

  it.each([
    ['backfill', 'dual-write'],
    ['shadow', 'dual-write'],
    ['ramp', 'dual-write'],
    ['promoted', 'dual-write'],
  ] as const)('from %s goes to %s at once, latched, with the next epoch, automatic or not', (from, to) => {
    for (const why of [cause, automatic]) {
      const before = standingAt(from)
      const after = must(before, revertBy(why))
      expect(after.phase).toBe(to)
      expect(after.epoch).toBe(before.epoch + 1)
      expect(after.latch).toMatchObject({ reason: why.reason })
      expect(currentRouting(definition.id, after)).toMatchObject({
        write: 'dual-old',
        read: { kind: 'fixed', variant: 'old' },
      })
    }
  })

  it('waits for nobody: instances that have not heard of ramp are no reason to refuse (I5)', () => {
    const ramp = standingAt('ramp')
    const slow = [{ id: 'a', drained: 5, fenced: true }]
    const result = apply(ramp, { type: 'revert', cause: automatic, instances: slow, canRollback: true })
    expect(result).toMatchObject({ ok: true, state: { phase: 'dual-write' } })
  })

  it.each([
    ['planned', 'nothing-to-revert'],
    ['expanded', 'nothing-to-revert'],
    ['retired', 'old-incomplete'],
    ['contracted', 'restore-needed'],
  ] as const)('by itself from %s is refused: %s', (phase, code) => {
    expect(apply(standingAt(phase), revertBy(automatic))).toMatchObject({ ok: false, refusal: { code } })
  })

  it('goes one further where writing new is what fails, once nobody can read new any more', () => {
    const ramp = standingAt('ramp')
    const instances = [{ id: 'a', drained: ramp.epoch, fenced: true }]
    let state = must(ramp, {
      type: 'revert',
      cause: { ...automatic, path: 'new', operation: 'write' },
      instances,
      canRollback: true,
    })
    expect(state).toMatchObject({ phase: 'dual-write', pending: { to: 'expanded' } })
    expect(apply(state, { type: 'continue-revert', instances, canRollback: true })).toMatchObject({
      ok: false,
      refusal: { code: 'revert-not-safe' },
    })
    const drained = [{ id: 'a', drained: state.epoch, fenced: true }]
    state = must(state, { type: 'continue-revert', instances: drained, canRollback: true })
    expect(state.phase).toBe('expanded')
    expect(state.pending).toBeUndefined()
  })

  it('never goes from ramp straight to expanded, even where a person asks for it', () => {
    const state = must(standingAt('ramp'), revertBy(cause, 'expanded'))
    expect(state.phase).toBe('dual-write')
    expect(state.pending?.to).toBe('expanded')
  })

  it('from retired goes to promoted, and to old only after the reverse backfill is verified', () => {
    let state = must(standingAt('retired'), revertBy(cause))
    expect(state).toMatchObject({ phase: 'promoted', work: { kind: 'reverse-backfill', status: 'pending' } })
    expect(currentRouting(definition.id, state)).toEqual({
      write: 'dual-new',
      read: { kind: 'fixed', variant: 'new' },
      asks: ['new'],
    })
    expect(apply(state, revertBy(cause))).toMatchObject({ ok: false, refusal: { code: 'old-incomplete' } })
    state = must(state, workDone(state))
    expect(state.complete.old).toBe(true)
    expect(must(state, revertBy(cause)).phase).toBe('dual-write')
  })

  it('asked to go from retired to dual-write does the rest by itself', () => {
    let state = must(standingAt('retired'), revertBy(cause, 'dual-write'))
    expect(state).toMatchObject({ phase: 'promoted', pending: { to: 'dual-write' } })
    state = must(state, workDone(state))
    state = must(state, { type: 'continue-revert', instances: [], canRollback: true })
    expect(state.phase).toBe('dual-write')
  })

  it('from expanded rolls the schema back, and is planned only when that is done', () => {
    let state = must(standingAt('expanded'), revertBy(cause))
    expect(state).toMatchObject({ phase: 'expanded', work: { kind: 'rollback' } })
    state = must(state, workDone(state))
    expect(state.phase).toBe('planned')
  })

  it('calls off contract until the first drop, not after', () => {
    const { state: asked } = apply(standingAt('retired'), advance) as Extract<Transition, { ok: true }>
    expect(must(asked, revertBy(cause)).phase).toBe('promoted')
    const committing = must(asked, { type: 'work-committing', kind: 'contract', epoch: asked.epoch })
    expect(apply(committing, revertBy(cause))).toMatchObject({
      ok: false,
      refusal: { code: 'point-of-no-return' },
    })
  })

  it('latches: a second automatic one is refused, and re-arming opens the way', () => {
    const state = must(standingAt('ramp'), revertBy(automatic))
    expect(apply(state, revertBy(automatic))).toMatchObject({
      ok: false,
      refusal: { code: 'already-latched' },
    })
    const armed = must(state, { type: 'rearm' })
    expect(armed.latch).toBeUndefined()
    expect(armed.run.epoch).toBe(armed.epoch)
    expect(apply(armed, { type: 'rearm' })).toMatchObject({ ok: false, refusal: { code: 'not-latched' } })
  })
})

describe('work', () => {
  it('of an epoch that has passed is refused', () => {
    const state = must(standingAt('dual-write'), advance)
    expect(state.work).toMatchObject({ kind: 'backfill', status: 'pending' })
    const stale: MigrationEvent = { type: 'work-done', kind: 'backfill', epoch: state.epoch - 1 }
    expect(apply(state, stale)).toMatchObject({ ok: false, refusal: { code: 'stale-work' } })
  })

  it('that failed is asked for again', () => {
    let state = must(initialState(definition.id, 0), advance)
    state = must(state, { type: 'work-failed', kind: 'expand', epoch: 1, error: 'lock timeout' })
    expect(state.work).toMatchObject({ status: 'failed', error: 'lock timeout' })
    state = must(state, { type: 'retry-work' })
    expect(state.work).toEqual({ kind: 'expand', epoch: 1, status: 'pending' })
  })

  it('is held back by the limits of the definition, as a person has changed them since', () => {
    let state = must(standingAt('backfill'), { type: 'set-throttle', change: { lockWaits: 3, walRate: 5 } })
    state = must(state, { type: 'set-throttle', change: { rowsPerSecond: null, walRate: 7 } })
    expect(throttleOf({ rowsPerSecond: 100, latencyP99: 50 }, state.throttle)).toEqual({
      latencyP99: 50,
      lockWaits: 3,
      walRate: 7,
    })
    // Not said is not the same as taken off: there is a default.
    state = must(state, { type: 'set-throttle', change: { latencyFactor: null } })
    expect(throttleOf({ latencyFactor: 2 }, state.throttle)).toMatchObject({ latencyFactor: null })
    expect(throttleOf({ latencyFactor: null }, undefined)).toEqual({ latencyFactor: null })
    expect(throttleOf({}, undefined)).toEqual({})
  })

  it('a backfill that left rows out is asked for again while its phase lasts', () => {
    const done = standingAt('backfill')
    expect(done.work).toMatchObject({ kind: 'backfill', status: 'done' })
    expect(must(done, { type: 'retry-work' }).work).toMatchObject({ kind: 'backfill', status: 'pending' })
  })
})

describe('every event in every phase', () => {
  const events: MigrationEvent[] = [
    advance,
    { type: 'set-rollout', share: 0.3, canary: [], instances: [] },
    { type: 'set-flags', write: 'old', instances: [] },
    { type: 'set-flags', read: 'new', instances: [] },
    { type: 'pause' },
    { type: 'approve', by: 'ann' },
    { type: 'restore' },
    { type: 'rearm' },
    { type: 'retry-work' },
    { type: 'fence-passed', epoch: 1 },
    { type: 'continue-revert', instances: [], canRollback: true },
    revertBy(cause),
    revertBy(automatic),
  ]
  const at = Object.fromEntries(PHASES.map((phase) => [phase, standingAt(phase)])) as Record<
    Phase,
    MigrationState
  >
  const cases = PHASES.flatMap((phase) => events.map((event) => [phase, event.type, event] as const))
  it.each(cases)('%s × %s keeps the epoch monotonic and the history true', (phase, _, event) => {
    const before = at[phase]
    const result = apply(before, event)
    if (!result.ok) {
      expect(result.refusal.message.length).toBeGreaterThan(10)
      expect(result.refusal.action.length).toBeGreaterThan(5)
      return
    }
    const { state } = result
    expect(state.epoch).toBeGreaterThanOrEqual(before.epoch)
    if (state.phase !== before.phase) expect(state.epoch).toBe(before.epoch + 1)
    const last = state.history.at(-1)
    expect(last).toMatchObject({ epoch: state.epoch, routing: currentRouting(definition.id, state) })
    if (currentRouting(definition.id, state) !== currentRouting(definition.id, before)) {
      const changed =
        JSON.stringify(currentRouting(definition.id, state)) !==
        JSON.stringify(currentRouting(definition.id, before))
      if (changed) expect(state.epoch).toBe(before.epoch + 1)
    }
  })

  it('refuses flags that would lose writes: reads from new before it is complete, writes apart from the phase', () => {
    expect(apply(at['dual-write'], { type: 'set-flags', read: 'new', instances: [] })).toMatchObject({
      refusal: { code: 'flags-incompatible' },
    })
    expect(apply(at.ramp, { type: 'set-flags', write: 'old', instances: [] })).toMatchObject({
      refusal: { code: 'flags-incompatible' },
    })
    expect(apply(at.ramp, { type: 'set-flags', read: 'old', instances: [] })).toMatchObject({ ok: true })
  })
})
