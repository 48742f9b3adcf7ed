import type { TransitionContext } from './events.ts'
import type { Phase, WorkKind } from './phases.ts'
import { PHASE_TABLE, phaseIndex } from './phases.ts'
import type { Rollout } from './routing.ts'
import { NO_ROLLOUT } from './routing.ts'
import type { MigrationState, Work } from './state.ts'
import { currentRouting } from './state.ts'

/** Asks again for work that has failed. */
export function retryFailedWork(state: MigrationState): MigrationState {
  if (state.work === undefined || state.work.status !== 'failed') return state
  return {
    ...state,
    work: { ...without(state.work, 'error'), status: 'pending' },
  }
}

/** A copy without one optional field; with exact optional types `undefined` is not absence. */
export function without<T extends object, K extends keyof T>(value: T, field: K): Omit<T, K> {
  const { [field]: _, ...rest } = value
  return rest
}

/** Asks the engine for work, in the present phase and epoch. */
export const startWork = (state: MigrationState, kind: WorkKind, anytime = false): MigrationState => ({
  ...state,
  work: { kind, epoch: state.epoch, status: 'pending', ...(anytime ? { anytime } : {}) },
})

interface Entry {
  readonly rollout?: Rollout
  readonly overrides?: MigrationState['overrides']
  readonly work?: WorkKind
}

/**
 * Enters a phase (or another step of it): epoch + 1, the history of routings grows by one, and what was
 * proven about the paths is kept only as far as it still holds.
 */
export function enter(
  state: MigrationState,
  to: Phase,
  context: TransitionContext,
  entry: Entry = {},
): MigrationState {
  const { definition, now, oldestLive } = context
  const epoch = state.epoch + 1
  const forward = phaseIndex(to) > phaseIndex(state.phase)
  const back = phaseIndex(to) < phaseIndex(state.phase)
  const kind = entry.work ?? (forward ? PHASE_TABLE[to].work : undefined)
  const work: Work | undefined = kind === undefined ? undefined : { kind, epoch, status: 'pending' }
  const exposedAnew = back || (forward && to === 'dual-write')
  const next: MigrationState = {
    ...without(without(state, 'work'), 'from'),
    phase: to,
    epoch,
    since: now,
    from: to === state.phase ? (state.from ?? state.phase) : state.phase,
    rollout: entry.rollout ?? NO_ROLLOUT,
    overrides: entry.overrides ?? {},
    approvals: to === state.phase ? state.approvals : [],
    complete: completeness(state, to),
    run: exposedAnew ? { epoch, at: now } : state.run,
    ...(work === undefined
      ? to === state.phase && state.work !== undefined
        ? { work: state.work }
        : {}
      : { work }),
  }
  const fenced = definition.fence && to !== 'planned'
  const kept = state.history.filter((record) => record.epoch >= oldestLive)
  const record = {
    epoch,
    routing: currentRouting(definition.id, next),
    fenced,
  }
  return { ...next, history: [...kept, record] }
}

/**
 * What entering `to` does to the proof that a path holds every acknowledged write (I4). A path stops
 * being complete as soon as one phase does not write it, and is complete again only by verification.
 */
function completeness(state: MigrationState, to: Phase): MigrationState['complete'] {
  switch (to) {
    case 'planned':
    case 'expanded':
    case 'dual-write':
      // Coming back from a later phase new was written without a gap; that proof is kept only while it is.
      return {
        old: true,
        new: to === 'dual-write' && phaseIndex(state.phase) > phaseIndex(to) && state.complete.new,
      }
    case 'backfill':
      return { old: true, new: false }
    case 'retired':
    case 'contracted':
      return { old: false, new: true }
    default:
      return state.complete
  }
}
