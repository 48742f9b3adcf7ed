import { enter, without } from './enter.ts'
import type { MigrationEvent, Transition, TransitionContext } from './events.ts'
import { refuse } from './refusal.ts'
import type { MigrationState, Work } from './state.ts'

type WorkEvent = Extract<
  MigrationEvent,
  {
    type: 'work-started' | 'work-committing' | 'work-done' | 'work-failed' | 'retry-work'
  }
>

const ok = (
  state: MigrationState,
  ...effects: Extract<Transition, { ok: true }>['effects'][number][]
): Transition => ({
  ok: true,
  state,
  effects,
})

/** What the engine reports about the work that it was asked for. Reports about other work are refused. */
export function finishWork(state: MigrationState, event: WorkEvent, context: TransitionContext): Transition {
  const { work } = state
  if (event.type === 'retry-work') {
    // A backfill that is done may have left rows out: once they are mended, it is what copies them.
    const again = work?.kind === 'backfill' && work.status === 'done' && state.phase === 'backfill'
    if (work === undefined || (work.status !== 'failed' && !again)) {
      return refuse('no-work-to-retry', 'No work has failed.', 'See the status of the migration.')
    }
    return ok({ ...state, work: { ...without(work, 'error'), status: 'pending' } }, { type: 'wake-engine' })
  }
  if (
    work === undefined ||
    work.kind !== event.kind ||
    work.epoch !== event.epoch ||
    work.status === 'done'
  ) {
    return refuse(
      'stale-work',
      `${event.kind} of epoch ${event.epoch} is not asked for any more.`,
      'Stop it; the migration has moved on.',
    )
  }
  switch (event.type) {
    case 'work-started':
      return ok({
        ...state,
        work: { ...without(work, 'error'), status: 'running' },
      })
    case 'work-committing':
      return ok({
        ...state,
        work: { ...work, status: 'running', committing: true },
      })
    case 'work-failed':
      return ok({
        ...state,
        work: { ...work, status: 'failed', error: event.error },
      })
    case 'work-done':
      return done(
        state,
        event.compared === undefined ? work : { ...work, compared: event.compared },
        event,
        context,
      )
  }
}

function done(
  state: MigrationState,
  work: Work,
  { divergences = 0 }: Extract<WorkEvent, { type: 'work-done' }>,
  context: TransitionContext,
): Transition {
  const finished: MigrationState = {
    ...state,
    work: { ...without(work, 'error'), status: 'done' },
  }
  switch (work.kind) {
    case 'expand':
      return ok(enter(state, 'expanded', context), { type: 'push' }, { type: 'wake-engine' })
    case 'rollback':
      return state.phase === 'planned'
        ? ok(without(state, 'work'))
        : ok(enter(state, 'planned', context), { type: 'push' })
    case 'contract':
      return ok(enter(state, 'contracted', context), { type: 'push' })
    case 'restore':
      return ok(enter(state, 'retired', context), { type: 'push' })
    case 'backfill':
      return ok(finished, { type: 'wake-engine' })
    case 'verify':
    case 'reverse-backfill': {
      if (divergences > 0) {
        const error = `${divergences} keys still differ after repair`
        return ok({ ...state, work: { ...work, status: 'failed', error } })
      }
      const path = work.kind === 'verify' ? 'new' : 'old'
      const proven = {
        ...finished,
        complete: { ...state.complete, [path]: true },
      }
      if (path === 'new') return ok(proven, { type: 'wake-engine' })
      // Reads may compare with old again, and a revert further back is open.
      const next = enter(proven, state.phase, context)
      return ok({ ...next, work: finished.work as Work }, { type: 'push' }, { type: 'wake-engine' })
    }
  }
}
