import { without } from './enter.ts'
import type { Transition, TransitionContext } from './events.ts'
import { refuse } from './refusal.ts'
import type { MigrationState, Work } from './state.ts'
import { currentRouting } from './state.ts'

/** How far epochs are lifted above the newest that the target has seen: some may have been given out since. */
export const EPOCH_MARGIN = 32

/**
 * Takes up the state that the target remembers, where the store is behind it because it was restored from a
 * backup. An epoch is never given out twice (I6), and neither the flags nor the proofs of the backup are
 * believed: writes went through since under phases that it does not know of (I4). The migration is latched,
 * and nothing goes on by itself: the registry of instances is as old as the backup, so a person has to see
 * that the fleet is registered again before anything relies on it.
 */
export function takeUp(
  state: MigrationState,
  seen: MigrationState,
  { definition, now }: TransitionContext,
): Transition {
  if (seen.epoch <= state.epoch) {
    return refuse('epoch-known', `Epoch ${seen.epoch} is not beyond ${state.epoch}.`, 'Nothing to do.')
  }
  const reason = `the store was behind its target: it stood at ${state.phase}, epoch ${state.epoch}, and the target had seen ${seen.phase}, epoch ${seen.epoch}; was it restored from a backup? Re-arm when every instance is registered again`
  const epoch = seen.epoch + EPOCH_MARGIN
  const { work } = seen
  const stopped: { readonly work?: Work } =
    work === undefined || work.status === 'done' ? {} : { work: { ...work, status: 'failed', error: reason } }
  const taken: MigrationState = {
    ...without(seen, 'pending'),
    ...stopped,
    epoch,
    since: now,
    latch: { at: now, reason },
    minimum: Math.max(seen.minimum, state.minimum),
    run: { epoch, at: now },
  }
  const record = {
    epoch,
    routing: currentRouting(definition.id, taken),
    fenced: definition.fence && taken.phase !== 'planned',
  }
  return {
    ok: true,
    state: { ...taken, history: [...seen.history, record] },
    effects: [{ type: 'push' }, { type: 'wake-engine' }],
  }
}
