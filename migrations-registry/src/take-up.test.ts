import { expect, test } from 'vitest'
import { configOf } from './config.ts'
import { definitionSchema } from './definition.ts'
import type { MigrationEvent } from './events.ts'
import { initialState, type MigrationState } from './state.ts'
import { EPOCH_MARGIN } from './take-up.ts'
import { transition } from './transition.ts'

const definition = definitionSchema.parse({
  id: 'm',
  title: 'M',
  copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { v: 'v' } },
})
const at = (state: MigrationState, event: MigrationEvent) =>
  transition(state, event, { definition, now: 1_000, oldestLive: 0 })
function must(state: MigrationState, event: MigrationEvent): MigrationState {
  const outcome = at(state, event)
  if (!outcome.ok) throw new Error(outcome.refusal.message)
  return outcome.state
}
const advance: MigrationEvent = { type: 'advance', blockers: [], canary: [] }
function standingAt(phase: string): MigrationState {
  let state = initialState('m', 0)
  while (state.phase !== phase) {
    state = must(state, advance)
    const { work } = state
    if (work?.status === 'pending')
      state = must(state, { type: 'work-done', kind: work.kind, epoch: work.epoch })
  }
  return state
}

test('a restored store takes up the state that the target has seen, above every epoch given out, latched', () => {
  const backup = standingAt('dual-write')
  const seen = standingAt('retired')
  const taken = must(backup, { type: 'epoch-seen', seen })
  expect(taken).toMatchObject({ phase: 'retired', epoch: seen.epoch + EPOCH_MARGIN })
  expect(taken.latch?.reason).toContain(`epoch ${seen.epoch}`)
  // The backup said that old holds everything; retired has not written it since.
  expect(taken.complete).toEqual({ old: false, new: true })
  expect(configOf(definition, taken)).toMatchObject({ write: 'new', epoch: taken.epoch })
  expect(taken.history.map(({ epoch }) => epoch)).toEqual([
    ...seen.history.map(({ epoch }) => epoch),
    taken.epoch,
  ])
  expect(
    must({ ...taken, latch: undefined } as unknown as MigrationState, { type: 'approve', by: 'ann' }).epoch,
  ).toBe(taken.epoch)
})

test('what was under way is not taken up again by itself', () => {
  const shadow = must(standingAt('backfill'), advance)
  const seen: MigrationState = {
    ...shadow,
    work: { kind: 'verify', epoch: shadow.epoch, status: 'running' },
    pending: { to: 'expanded', reason: 'x', by: 'ann', since: 0 },
  }
  const taken = must(standingAt('dual-write'), { type: 'epoch-seen', seen })
  expect(taken.pending).toBeUndefined()
  expect(taken.work?.status).toBe('failed')
  expect(must(taken, { type: 'rearm' }).work?.status).toBe('pending')
})

test('a state that is not beyond the own one is refused', () => {
  const state = standingAt('ramp')
  expect(at(state, { type: 'epoch-seen', seen: state })).toMatchObject({
    ok: false,
    refusal: { code: 'epoch-known' },
  })
})

test('on the way back from promoted the dual write is left only when old is proven to be current', () => {
  const cause = { kind: 'manual', reason: 'x', by: 'ann' } as const
  const back = { instances: [], canRollback: true }
  const promoted = standingAt('promoted')
  const dual = must(promoted, { type: 'revert', cause, to: 'expanded', ...back })
  expect(dual).toMatchObject({ phase: 'dual-write', pending: { to: 'expanded' } })
  expect(configOf(definition, dual).guarded).toEqual(['old'])
  expect(at(dual, { type: 'continue-revert', ...back })).toMatchObject({
    ok: false,
    refusal: { code: 'revert-not-safe' },
  })
  const expanded = must(dual, { type: 'continue-revert', ...back, oldCurrent: true })
  // The proof has passed the fence.
  expect(expanded).toMatchObject({ phase: 'expanded', minimum: dual.epoch })
  // From ramp old has led all the time, and nothing has to be proven.
  const fromRamp = must(standingAt('ramp'), { type: 'revert', cause, to: 'expanded', ...back })
  expect(must(fromRamp, { type: 'continue-revert', ...back }).phase).toBe('expanded')
})

test('a straggler that reads a path unasked keeps another path from leading', () => {
  const cause = { kind: 'manual', reason: 'x', by: 'ann' } as const
  const retired = standingAt('retired')
  const reader = { id: 'a', drained: retired.epoch, fenced: true }
  const promoted = must(retired, { type: 'revert', cause, instances: [reader], canRollback: true })
  const proven = must(promoted, { type: 'work-done', kind: 'reverse-backfill', epoch: promoted.epoch })
  const asked = at(proven, { type: 'revert', cause, instances: [reader], canRollback: true })
  expect(asked).toMatchObject({ ok: true, state: { phase: 'promoted', pending: { to: 'dual-write' } } })
})
