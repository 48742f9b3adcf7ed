import { loadMigrationFolders } from '../migrations-folder/load-migration-folder.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import type { ServerLog } from './server-log.ts'

/** Registers all migrations of a folder at the start; what is wrong with one is said, and the rest goes on. */
export async function registerFolder(folder: string, phases: PhaseService, log: ServerLog): Promise<void> {
  for (const loaded of await loadMigrationFolders(folder)) {
    if (!loaded.ok) {
      for (const problem of loaded.problems) {
        log.error(
          { ...problem },
          `${problem.file}:${problem.line}:${problem.column} ${problem.path} ${problem.message}`,
        )
      }
      continue
    }
    const { definition, sql, source } = loaded.migration
    const result = await phases.register({ definition, sql, source }, { name: 'migrations folder' })
    if (!result.ok) log.error({ migration: definition.id, code: result.refusal.code }, result.refusal.message)
  }
}
