import type { Conflict } from './compatibility.ts'
import { conflictsWith } from './compatibility.ts'
import { enter, retryFailedWork, startWork } from './enter.ts'
import type { Effect, MigrationEvent, Transition, TransitionContext } from './events.ts'
import { atLeast } from './phases.ts'
import { refuse } from './refusal.ts'
import { continueRevert, revert } from './revert.ts'
import { routingOf } from './routing.ts'
import type { Asker } from './second-person.ts'
import { isOwn } from './second-person.ts'
import type { MigrationState } from './state.ts'
import { currentRouting } from './state.ts'
import { nextStep, rolloutAt } from './steps.ts'
import { takeUp } from './take-up.ts'
import { finishWork } from './work.ts'

const describe = (conflict: Conflict): string =>
  `${conflict.instance} may still ${conflict.as === 'reader' ? 'read' : 'write'} under epoch ${conflict.epoch}`

/**
 * The one function by which a migration changes. Takes data and returns data: the next state and what is
 * to be done about it, or a refusal that says what to do instead.
 */
export function transition(
  state: MigrationState,
  event: MigrationEvent,
  context: TransitionContext,
): Transition {
  switch (event.type) {
    case 'advance':
      return advance(state, event, context)
    case 'set-rollout':
      return setRollout(state, event, context)
    case 'set-flags':
      return setFlags(state, event, context)
    case 'set-throttle':
      return changed({ ...state, throttle: { ...state.throttle, ...event.change } }, { type: 'wake-engine' })
    case 'set-backfill':
      return changed({ ...state, backfillOn: event.on }, { type: 'wake-engine' })
    case 'pause':
      return changed({ ...state, paused: true }, { type: 'wake-engine' })
    case 'resume':
      return changed({ ...state, paused: false }, { type: 'wake-engine' })
    case 'approve':
      return approve(state, event, context)
    case 'revert':
      return revert(state, event, context)
    case 'continue-revert':
      return continueRevert(state, event, context)
    case 'restore':
      if (state.phase !== 'contracted') {
        return refuse(
          'path-not-behind',
          `Restore brings back what contract dropped; the migration stands at ${state.phase}.`,
          'Use revert.',
        )
      }
      return changed(startWork(state, 'restore'), { type: 'wake-engine' })
    case 'verify':
      return verifyAgain(state)
    case 'fence-passed':
      return changed(passed(state, event.epoch))
    case 'rearm':
      return rearm(state, context)
    case 'epoch-seen':
      return takeUp(state, event.seen, context)
    default:
      return finishWork(state, event, context)
  }
}

/**
 * Compares every row once more. Only where writes reach both paths and old leads: what differs is copied from the
 * leader, and a comparison that takes old for right would take from new what it alone has.
 */
function verifyAgain(state: MigrationState): Transition {
  const { phase, work } = state
  if (phase !== 'shadow' && phase !== 'ramp') {
    return refuse(
      'verification-not-open',
      `Both paths are compared in shadow and ramp, where old leads and both are written; the migration stands at ${phase}.`,
      atLeast(phase, 'ramp')
        ? 'A revert from retired compares them by itself before old is served again.'
        : 'Advance: the verification of shadow begins by itself.',
    )
  }
  if (state.paused) {
    return refuse('verification-not-open', 'The migration is paused.', 'Resume it first.')
  }
  if (work !== undefined && (work.status === 'pending' || work.status === 'running')) {
    return refuse('work-under-way', `${work.kind} is ${work.status}.`, 'Wait for its end, then ask again.')
  }
  return changed(startWork(state, 'verify'), { type: 'wake-engine' })
}

const changed = (state: MigrationState, ...effects: Effect[]): Transition => ({
  ok: true,
  state,
  effects,
})

const passed = (state: MigrationState, epoch: number): MigrationState => ({
  ...state,
  minimum: Math.max(state.minimum, epoch),
})

function advance(
  before: MigrationState,
  event: Extract<MigrationEvent, { type: 'advance' }>,
  context: TransitionContext,
): Transition {
  const { definition } = context
  const state = event.passed === undefined ? before : passed(before, event.passed)
  const step = nextStep(definition, state)
  if (step.kind === 'none') {
    return refuse('nothing-left', `${definition.id} is at its last phase, ${state.phase}.`, 'Nothing to do.')
  }
  if (event.blockers.length > 0) {
    return refuse(
      'gate-closed',
      event.blockers.map((blocker) => blocker.message).join(' '),
      event.blockers[0]?.action ?? 'See the gate.',
    )
  }
  if (step.kind === 'work') {
    return changed(startWork(state, step.work, event.anytime), { type: 'wake-engine' })
  }
  if (step.kind === 'rollout') {
    const rollout = rolloutAt(definition, step.step, event.canary)
    return changed(enter(state, 'ramp', context, { rollout }), {
      type: 'push',
    })
  }
  return changed(enter(state, step.to, context), { type: 'push' }, { type: 'wake-engine' })
}

function setRollout(
  state: MigrationState,
  event: Extract<MigrationEvent, { type: 'set-rollout' }>,
  context: TransitionContext,
): Transition {
  if (state.phase !== 'ramp') {
    return refuse(
      'not-in-ramp',
      `A share can be set in ramp only; ${context.definition.id} stands at ${state.phase}.`,
      'Advance to ramp first.',
    )
  }
  if (state.latch !== undefined) {
    return refuse('already-latched', `Latched since a revert: ${state.latch.reason}`, 'Re-arm first.')
  }
  const steps = context.definition.rollout
  const reached = steps.findLastIndex((step) => 'share' in step && step.share <= event.share)
  const rollout = {
    step: Math.max(reached, 0),
    share: event.share,
    canary: event.canary,
  }
  const next = routingOf(context.definition.id, 'ramp', rollout, state.complete.old)
  const conflicts = conflictsWith(next, event.instances, state.history, state.minimum)
  if (conflicts.length > 0) {
    return refuse(
      'share-not-allowed',
      `${conflicts.map(describe).join('; ')}.`,
      'Wait until these instances have drained.',
    )
  }
  return changed(enter(state, 'ramp', context, { rollout }), { type: 'push' })
}

function setFlags(
  state: MigrationState,
  event: Extract<MigrationEvent, { type: 'set-flags' }>,
  context: TransitionContext,
): Transition {
  const base = { ...state, overrides: {} }
  const read = event.read === undefined ? state.overrides.read : (event.read ?? undefined)
  const write = event.write === undefined ? state.overrides.write : (event.write ?? undefined)
  const overrides = {
    ...(read === undefined ? {} : { read }),
    ...(write === undefined ? {} : { write }),
  }
  const next = currentRouting(context.definition.id, { ...base, overrides })
  const conflicts = conflictsWith(next, event.instances, state.history, state.minimum)
  const lead = next.write === 'old' || next.write === 'dual-old' ? 'old' : 'new'
  const served = next.read.kind === 'fixed' ? next.read.variant : undefined
  const path = served === 'new' || served === 'new-shadow' ? 'new' : 'old'
  const phaseWrites = routingOf(context.definition.id, state.phase, state.rollout, state.complete.old).write
  const incomplete =
    (!state.complete.new && (path === 'new' || lead === 'new')) ||
    (!state.complete.old && (path === 'old' || lead === 'old'))
  // Work of the phase relies on every instance writing what the phase says.
  if (next.write !== phaseWrites || incomplete || conflicts.length > 0) {
    const why =
      next.write !== phaseWrites
        ? `the write flag of ${state.phase} is ${phaseWrites}, and the work of the phase relies on it`
        : incomplete
          ? `${path} does not hold every acknowledged write yet`
          : conflicts.map(describe).join('; ')
    return refuse(
      'flags-incompatible',
      `These flags are not allowed now: ${why}.`,
      'Advance or revert instead.',
    )
  }
  return changed(enter(state, state.phase, context, { rollout: state.rollout, overrides }), { type: 'push' })
}

function approve(state: MigrationState, asker: Asker, { now }: TransitionContext): Transition {
  const { by, person } = asker
  if (state.phase !== 'retired') {
    return refuse(
      'approval-not-open',
      `Approvals are for contract; the migration stands at ${state.phase}.`,
      'Approve once it is retired.',
    )
  }
  const own = state.approvals.find((approval) => isOwn(approval, asker))
  if (own !== undefined) {
    return refuse(
      'already-approved',
      own.by === by ? `${by} has approved already.` : `${by} has approved already, as ${own.by}.`,
      'Ask a second person.',
    )
  }
  return changed({
    ...state,
    approvals: [...state.approvals, { by, at: now, ...(person === undefined ? {} : { person }) }],
  })
}

function rearm(state: MigrationState, { now }: TransitionContext): Transition {
  const { latch, pending, ...rest } = state
  if (latch === undefined) return refuse('not-latched', 'The migration is not latched.', 'Nothing to do.')
  // A step back that has not been taken yet is called off: whoever re-arms wants to go forward.
  const called = pending === undefined ? [] : ([{ type: 'wake-engine' }] as const)
  return changed({ ...retryFailedWork(rest), run: { epoch: state.epoch, at: now } }, ...called)
}
