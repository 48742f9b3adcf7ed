import type { MigrationDefinition } from './definition.ts'
import type { Phase, WorkKind } from './phases.ts'
import { PHASE_TABLE, phaseAfter } from './phases.ts'
import type { Rollout, Routing } from './routing.ts'
import { NO_ROLLOUT, routingOf } from './routing.ts'
import type { MigrationState } from './state.ts'
import { currentRouting } from './state.ts'

/** What advancing would do next. */
export type NextStep =
  | { readonly kind: 'work'; readonly work: WorkKind; readonly to: Phase }
  | { readonly kind: 'phase'; readonly to: Phase }
  | {
      readonly kind: 'rollout'
      readonly step: number
      readonly share: number
      readonly canaries: number
    }
  | { readonly kind: 'none' }

/** The rollout that step `index` of the definition stands for, for the canary instances given. */
export function rolloutAt(
  definition: MigrationDefinition,
  index: number,
  canary: readonly string[],
): Rollout {
  const step = definition.rollout[index]
  if (step === undefined) return NO_ROLLOUT
  if ('canary' in step) return { step: index, share: 0, canary: canary.slice(0, step.canary) }
  return { step: index, share: step.share, canary: [] }
}

function rolloutStep(definition: MigrationDefinition, index: number): NextStep | undefined {
  const step = definition.rollout[index]
  if (step === undefined) return undefined
  const canaries = 'canary' in step ? step.canary : 0
  return {
    kind: 'rollout',
    step: index,
    share: 'share' in step ? step.share : 0,
    canaries,
  }
}

/** The step forward from here, whether or not the gate is open. */
export function nextStep(definition: MigrationDefinition, state: MigrationState): NextStep {
  const { phase } = state
  const to = phaseAfter(phase)
  if (to === undefined) return { kind: 'none' }
  const { leaveBy } = PHASE_TABLE[phase]
  if (leaveBy !== undefined) return { kind: 'work', work: leaveBy, to }
  if (definition.copy === undefined) return { kind: 'none' }
  if (phase === 'shadow') return rolloutStep(definition, 0) ?? { kind: 'none' }
  if (phase === 'ramp') return rolloutStep(definition, state.rollout.step + 1) ?? { kind: 'phase', to }
  return { kind: 'phase', to }
}

/** The routing that would be in force after `step`. */
export function routingAfter(
  definition: MigrationDefinition,
  state: MigrationState,
  step: NextStep,
  canary: readonly string[] = [],
): Routing {
  if (step.kind === 'none') return currentRouting(definition.id, state)
  if (step.kind === 'rollout') {
    const named = canary.length > 0 ? canary : Array.from({ length: step.canaries }, (_, i) => `#${i}`)
    return routingOf(definition.id, 'ramp', rolloutAt(definition, step.step, named), state.complete.old)
  }
  return routingOf(definition.id, step.to, NO_ROLLOUT, state.complete.old)
}
