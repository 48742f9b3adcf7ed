import type {
  MigrationDefinition,
  MigrationEvent,
  MigrationState,
  Phase,
} from '@switchback/migrations-registry'
import {
  definitionSchema,
  initialState,
  nextStep,
  phaseIndex,
  transition,
} from '@switchback/migrations-registry'
import { MIGRATION } from './tables.ts'

export interface DefinitionOptions {
  readonly fence: boolean
  readonly shadow: number
  readonly autopilot: boolean
}

export const defineMigration = ({ fence, shadow, autopilot }: DefinitionOptions): MigrationDefinition =>
  definitionSchema.parse({
    id: MIGRATION,
    title: 'Simulated',
    apps: ['app'],
    copy: { from: 'old', to: 'new', key: { id: 'id' }, columns: { value: 'value' } },
    fence,
    autopilot,
    rollout: [{ canary: 1 }, { share: '50%' }, { share: '100%' }],
    shadow: { sample: `${shadow * 100}%`, concurrency: 2, timeout: '200ms' },
    contract: { after: '100ms', approvals: 1 },
  })

/**
 * The state of a migration that has come to `phase` with nobody in its way: every step is taken by the
 * product's own transitions.
 */
export function stateAt(
  definition: MigrationDefinition,
  phase: Phase,
  canary: readonly string[],
): MigrationState {
  let state = initialState(definition.id, 0)
  const apply = (event: MigrationEvent) => {
    const outcome = transition(state, event, { definition, now: 0, oldestLive: state.epoch })
    if (!outcome.ok) throw new Error(`${event.type} at ${state.phase}: ${outcome.refusal.message}`)
    state = outcome.state
  }
  while (phaseIndex(state.phase) < phaseIndex(phase)) {
    if (nextStep(definition, state).kind === 'none') throw new Error(`there is no way to ${phase}`)
    apply({ type: 'advance', blockers: [], canary, passed: state.epoch })
    const { work } = state
    if (work === undefined || work.status === 'done') continue
    // Work of the phase that is started with is left to be done.
    const stays = state.phase === phase && work.kind !== 'expand'
    if (!stays) apply({ type: 'work-done', kind: work.kind, epoch: work.epoch })
  }
  return state
}
