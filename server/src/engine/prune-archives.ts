import type { MigrationDefinition } from '@switchback/migrations-registry'
import type { Execution } from '../execution/execution-port.ts'
import type { PhaseService } from '../phases/phase-service.ts'

export interface PruningDeps {
  readonly phases: Pick<PhaseService, 'list'>
  readonly executionFor: (definition: MigrationDefinition) => Pick<Execution, 'pruneArchives'>
  /** Writes down what was removed. */
  readonly record: (migration: string, archives: readonly string[]) => Promise<void>
  readonly onFault: (error: unknown, during: string) => void
}

/** Removes the archives of contracted migrations that were kept for as long as their definitions say. */
export async function pruneAll({ phases, executionFor, record, onFault }: PruningDeps): Promise<void> {
  for (const { definition, state } of await phases.list()) {
    // Elsewhere an archive may still be needed: by a contract that goes on, or a restore.
    const atWork = state.work !== undefined && state.work.status !== 'done'
    if (state.phase !== 'contracted' || atWork) continue
    try {
      const removed = await executionFor(definition).pruneArchives(definition)
      if (removed.length > 0) await record(definition.id, removed)
    } catch (error) {
      onFault(error, `pruning of the archives of ${definition.id}`)
    }
  }
}
