import type { Blocker, MigrationDefinition, MigrationState } from '@switchback/migrations-registry'
import { atLeast, currentRouting, formatDuration, WRITE_ROUTES } from '@switchback/migrations-registry'
import type { Execution, WritesInProgress } from '../execution/execution-port.ts'
import type { TargetFacts } from './create-phase-service.ts'

/** The path that follows: writes in two databases leave an intent for it while they are under way. */
function inProgress({ id }: MigrationDefinition, state: MigrationState): WritesInProgress | undefined {
  const { leader, order } = WRITE_ROUTES[currentRouting(id, state).write]
  const path = order.find((each) => each !== leader)
  return path === undefined ? undefined : { path, epoch: state.epoch }
}

/**
 * What the gate asks of targets. A target that cannot be asked makes the gate name it, and never keeps a
 * migration's page from being shown.
 */
export function createTargetFacts(
  executionFor: (definition: MigrationDefinition) => Execution,
  onFault: (error: unknown, during: string) => void,
): TargetFacts {
  const needsTarget = (phase: Parameters<typeof atLeast>[0]) =>
    atLeast(phase, 'dual-write') && phase !== 'contracted'
  return {
    remember: async ({ definition, state }) => {
      try {
        const newer = await executionFor(definition).remember(definition.id, state)
        return { answered: true, ...(newer === undefined ? {} : { newer }) }
      } catch (error) {
        onFault(error, `comparing ${definition.id} with its target`)
        return { answered: false }
      }
    },
    repairs: async ({ definition, state }) => {
      if (definition.copy === undefined || !needsTarget(state.phase)) return { old: 0, new: 0 }
      try {
        return await executionFor(definition).repairs(definition.id, inProgress(definition, state))
      } catch (error) {
        onFault(error, `open repairs of ${definition.id}`)
        return undefined
      }
    },
    failedRows: async ({ definition, state }) => {
      if (state.phase !== 'backfill') return 0
      // An unreachable target is named by the question for repairs.
      return await executionFor(definition)
        .failedRows(definition.id)
        .catch(() => 0)
    },
    passFence: async ({ definition }, epoch) => {
      const blocker = (subject: string, message: string, action: string): Blocker => ({
        code: 'target-unreachable',
        subject,
        message,
        action,
        forceable: false,
      })
      try {
        const fence = await executionFor(definition).passFence(definition.id, epoch)
        if (fence.passed) return []
        return fence.holders.map(({ pid, application, ageMs, query }) => ({
          code: 'fence-held',
          subject: `backend ${pid}`,
          message: `A transaction of an older epoch is open in backend ${pid} (${application}) for ${formatDuration(ageMs)}: ${query.slice(0, 120)}`,
          action: `Wait for it, or end it: select pg_terminate_backend(${pid})`,
          forceable: false,
        }))
      } catch (error) {
        onFault(error, `fence of ${definition.id}`)
        return [
          blocker(
            definition.target,
            'The fence could not be passed: the target did not answer.',
            'See that the server reaches the target.',
          ),
        ]
      }
    },
  }
}
