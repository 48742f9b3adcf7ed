import type { Conflict } from './compatibility.ts'
import { conflictsWith } from './compatibility.ts'
import { guardedPaths } from './config.ts'
import { enter, startWork, without } from './enter.ts'
import type { Effect, MigrationEvent, RevertCause, Transition, TransitionContext } from './events.ts'
import type { Phase } from './phases.ts'
import { PHASE_TABLE, phaseIndex } from './phases.ts'
import { refuse } from './refusal.ts'
import { askingForOld, NO_ROLLOUT, routingOf } from './routing.ts'
import type { MigrationState, PendingRevert } from './state.ts'

type RevertEvent = Extract<MigrationEvent, { type: 'revert' }>
type ContinueEvent = Extract<MigrationEvent, { type: 'continue-revert' }>

const who = (conflict: Conflict): string =>
  `${conflict.instance} may still ${conflict.as === 'reader' ? 'be served' : 'write'} under epoch ${conflict.epoch}`

/**
 * A revert: the first step at once, with one commit and a push and no acks (I5); steps further back are
 * noted as pending and taken by `continueRevert` when nobody can be hurt.
 */
export function revert(state: MigrationState, event: RevertEvent, context: TransitionContext): Transition {
  const { cause } = event
  const automatic = cause.kind !== 'manual'
  const { phase } = state
  if (automatic && state.latch !== undefined) {
    return refuse(
      'already-latched',
      `Latched since a revert: ${state.latch.reason}`,
      'Re-arm once the cause is gone.',
    )
  }
  if (event.run !== undefined && (event.run.epoch !== state.run.epoch || event.run.at !== state.run.at)) {
    return refuse(
      'run-over',
      `What was measured began with epoch ${event.run.epoch}; what runs now began with epoch ${state.run.epoch}.`,
      'Nothing to do: what runs now is measured anew.',
    )
  }
  const target = event.to ?? defaultTarget(state, cause)
  if (phase === 'planned') return cancelExpand(state, event, context)
  if (phase === 'contracted') {
    return refuse(
      'restore-needed',
      'Old is gone; only its archive is left.',
      'Restore from the archive, then revert from retired.',
    )
  }
  if (target === undefined || phaseIndex(target) >= phaseIndex(phase)) {
    return refuse(
      'path-not-behind',
      `${target ?? phase} does not lie behind ${phase}.`,
      `A revert from ${phase} goes to ${PHASE_TABLE[phase].revertsTo ?? 'nowhere'}.`,
    )
  }
  if (automatic && phase === 'expanded') {
    return refuse(
      'nothing-to-revert',
      'The flags are at old already; nothing can be switched back.',
      'Look for another cause, or roll the schema back by hand.',
    )
  }
  if (automatic && phase === 'retired') {
    return refuse(
      'old-incomplete',
      'Old has not been written since the migration was retired, so serving it would lose writes.',
      `Revert by hand to promoted: it starts the reverse backfill, after which old can be served again.`,
    )
  }
  const first = stepBack(state, event, context)
  if (!first.ok) {
    if (first.refusal.code !== 'revert-not-safe' && first.refusal.code !== 'old-incomplete') return first
    if (automatic || (first.refusal.code === 'old-incomplete' && event.to === undefined)) return first
    return {
      ok: true,
      state: latched({ ...state, pending: pendingTo(target, cause, context) }, cause, context),
      effects: [{ type: 'wake-engine' }],
    }
  }
  const reached = first.state.phase
  const further = phaseIndex(target) < phaseIndex(reached) && first.state.work?.kind !== 'rollback'
  const next = further
    ? { ...first.state, pending: pendingTo(target, cause, context) }
    : without(first.state, 'pending')
  return {
    ok: true,
    state: latched(next, cause, context),
    effects: [...stopping(state), ...first.effects],
  }
}

/** Takes the next step of a pending revert if nobody can be hurt by it; refused with who stands in the way. */
export function continueRevert(
  state: MigrationState,
  event: ContinueEvent,
  context: TransitionContext,
): Transition {
  const { pending } = state
  if (pending === undefined)
    return refuse('nothing-to-revert', 'No further step back is pending.', 'Nothing to do.')
  const step = stepBack(state, event, context)
  if (!step.ok) return step
  const arrived =
    phaseIndex(step.state.phase) <= phaseIndex(pending.to) || step.state.work?.kind === 'rollback'
  const next = arrived ? without(step.state, 'pending') : step.state
  return { ok: true, state: next, effects: step.effects }
}

/** Where a revert leads by itself: the table, one further where writing new is what fails. */
function defaultTarget(state: MigrationState, cause: RevertCause): Phase | undefined {
  const target = PHASE_TABLE[state.phase].revertsTo
  const writesFail = cause.operation === 'write' && cause.path === 'new'
  return target === 'dual-write' && writesFail ? 'expanded' : target
}

/** One step back along the table, or a refusal that names who or what makes it unsafe. */
function stepBack(
  state: MigrationState,
  { instances, canRollback, oldCurrent = false }: RevertEvent | ContinueEvent,
  context: TransitionContext,
): Transition {
  const { definition } = context
  const to = PHASE_TABLE[state.phase].revertsTo
  if (to === undefined)
    return refuse('nothing-to-revert', `Nothing lies behind ${state.phase}.`, 'Nothing to do.')
  if (state.work?.committing === true) {
    return refuse(
      'point-of-no-return',
      'What goes is being dropped at this moment.',
      'Let contract finish, then restore from the archive.',
    )
  }
  if (state.phase === 'expanded') {
    if (!canRollback) {
      return refuse(
        'no-rollback-sql',
        `${definition.id} has no rollback.sql.`,
        'Add rollback.sql and register the migration again.',
      )
    }
    if (state.work !== undefined && state.work.status !== 'done' && state.work.kind === 'rollback') {
      return refuse(
        'nothing-to-revert',
        'The schema is being rolled back already.',
        'See the status of the migration.',
      )
    }
    return {
      ok: true,
      state: startWork(state, 'rollback'),
      effects: [{ type: 'wake-engine' }],
    }
  }
  if (state.phase === 'promoted' && !state.complete.old) {
    return refuse(
      'old-incomplete',
      'Old does not hold every acknowledged write yet: the reverse backfill has not been verified.',
      'Wait for the reverse backfill to end; the revert to dual-write is open then.',
    )
  }
  if (to === 'expanded' && guardedPaths(state).includes('old') && !oldCurrent) {
    // New has led: a write that failed in old is in new alone, and in `expanded` nobody looks there.
    return refuse(
      'revert-not-safe',
      'Keys of old may wait for repair.',
      'It is done by itself as soon as they are repaired and nothing older is in flight.',
    )
  }
  // The proof included passing the fence for everything older than the present epoch.
  const minimum = oldCurrent && definition.fence ? Math.max(state.minimum, state.epoch) : state.minimum
  const ofPhase = routingOf(
    definition.id,
    to,
    NO_ROLLOUT,
    state.phase === 'retired' ? false : state.complete.old,
  )
  const next = state.phase === 'promoted' ? askingForOld(ofPhase) : ofPhase
  const conflicts = conflictsWith(next, instances, state.history, minimum)
  if (conflicts.length > 0) {
    return refuse(
      'revert-not-safe',
      `${conflicts.map(who).join('; ')}.`,
      'It is done by itself as soon as these instances have drained, said goodbye or been forgotten.',
    )
  }
  const work = state.phase === 'retired' ? ({ work: 'reverse-backfill' } as const) : {}
  return {
    ok: true,
    state: enter({ ...state, minimum }, to, context, work),
    effects: [{ type: 'push' }, { type: 'wake-engine' }],
  }
}

/** In `planned` only DDL can be under way: it is stopped, and what it has done already is rolled back. */
function cancelExpand(state: MigrationState, event: RevertEvent, context: TransitionContext): Transition {
  if (state.work === undefined || state.work.kind !== 'expand') {
    return refuse(
      'nothing-to-revert',
      'The migration is planned; nothing has been done yet.',
      'Nothing to do.',
    )
  }
  const stopped = event.canRollback ? startWork(state, 'rollback') : without(state, 'work')
  return {
    ok: true,
    state: latched(stopped, event.cause, context),
    effects: [{ type: 'stop-work', kind: 'expand' }, { type: 'wake-engine' }],
  }
}

const pendingTo = (to: Phase, cause: RevertCause, { now }: TransitionContext): PendingRevert => ({
  to,
  reason: cause.reason,
  by: cause.by,
  since: now,
})

const latched = (state: MigrationState, cause: RevertCause, { now }: TransitionContext): MigrationState => ({
  ...state,
  latch: {
    at: now,
    reason: cause.reason,
    ...(cause.incident === undefined ? {} : { incident: cause.incident }),
  },
})

const stopping = (state: MigrationState): Effect[] =>
  state.work === undefined || state.work.status === 'done'
    ? []
    : [{ type: 'stop-work', kind: state.work.kind }]
