import { definitionSchema } from './definition.ts'
import type { MigrationEvent, Transition } from './events.ts'
import type { Phase } from './phases.ts'
import { initialState, type MigrationState } from './state.ts'
import { transition } from './transition.ts'

export const definition = definitionSchema.parse({
  id: 'user-profiles',
  title: 'Profiles move',
  copy: { from: 'users', to: 'user_profiles', key: { user_id: 'id' }, columns: { bio: 'bio' } },
  rollout: [{ canary: 1 }, { share: '10%' }, { share: '50%' }, { share: '100%' }],
  contract: { approvals: 0 },
})

let now = 1000
export const context = () => ({ definition, now: ++now, oldestLive: 0 })
export const apply = (state: MigrationState, event: MigrationEvent): Transition =>
  transition(state, event, context())
export function must(state: MigrationState, event: MigrationEvent): MigrationState {
  const result = apply(state, event)
  if (!result.ok) throw new Error(`${result.refusal.code}: ${result.refusal.message}`)
  return result.state
}
export const advance = { type: 'advance', blockers: [], canary: ['a'] } satisfies MigrationEvent
export const workDone = (state: MigrationState, divergences = 0): MigrationEvent => {
  if (state.work === undefined) throw new Error('no work')
  return { type: 'work-done', kind: state.work.kind, epoch: state.work.epoch, divergences }
}
export const cause = { kind: 'manual', reason: 'test', by: 'ann' } as const
export const automatic = { kind: 'alert', reason: 'errors', by: 'alert', incident: 'inc_1' } as const
export const revertBy = (why: typeof cause | typeof automatic, to?: Phase): MigrationEvent => ({
  type: 'revert',
  cause: why,
  instances: [],
  canRollback: true,
  ...(to === undefined ? {} : { to }),
})

/** The migration standing at `phase`, its work done, reached by steps forward only. */
export function standingAt(phase: Phase): MigrationState {
  let state = initialState(definition.id, 0)
  for (let guard = 0; state.phase !== phase && guard < 40; guard++) {
    state = must(state, advance)
    if (state.work !== undefined && state.work.status === 'pending') state = must(state, workDone(state))
  }
  return state
}
