import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BackfillStep, MigrationDefinition } from '@switchback/migrations-registry'
import { createJiti } from 'jiti'
import { loadMigrationFolders } from '../migrations-folder/load-migration-folder.ts'
import { ExecutionError, messageOf } from '../target/execution-error.ts'

/** The code of custom steps. A server runs what lies in its own folder, never what somebody posts. */
export interface Steps {
  /** @throws ExecutionError that says what is missing, and where */
  load(definition: MigrationDefinition): Promise<BackfillStep>
  /** Why this server cannot run the step of a definition, and what to do; undefined where it can. */
  missing(definition: MigrationDefinition): Promise<string | undefined>
  close(): Promise<void>
}

/** @param folder `MIGRATIONS_DIR`, or undefined where it is not set */
export function createSteps(folder: string | undefined): Steps {
  const loaded = new Map<string, Promise<BackfillStep>>()

  /** The file, or why there is none. */
  async function find({ id, copy }: MigrationDefinition): Promise<{ file: string } | { reason: string }> {
    const step = copy?.step ?? ''
    const how =
      `a server runs such code from its own folder only: put the folder of ${id} with ${step} ` +
      'under MIGRATIONS_DIR of every server and worker'
    if (folder === undefined) return { reason: `copy.step of ${id} names code (${step}), and ${how}` }
    for (const found of await loadMigrationFolders(folder)) {
      if (!found.ok || found.migration.definition.id !== id) continue
      const home = await realpath(found.folder)
      const file = await realpath(join(home, step)).catch(() => undefined)
      // A link may lead anywhere; the folder is what was entrusted to the server.
      if (file !== undefined && dirname(file) === home) return { file }
      return { reason: `copy.step of ${id} names ${step}, which is not in ${found.folder}` }
    }
    return { reason: `${folder} has no folder of the migration ${id}, whose copy.step is code; ${how}` }
  }

  return {
    missing: async (definition) => {
      const found = await find(definition)
      return 'reason' in found ? found.reason : undefined
    },
    load: async (definition) => {
      const found = await find(definition)
      if ('reason' in found) throw new ExecutionError('work-impossible', found.reason)
      const known = loaded.get(found.file) ?? loadFile(found.file)
      loaded.set(found.file, known)
      known.catch(() => loaded.delete(found.file))
      return known
    },
    close: async () => {
      for (const step of await Promise.allSettled(loaded.values())) {
        if (step.status === 'fulfilled') await step.value.close?.()
      }
    },
  }
}

const NEEDED = ['write', 'read', 'remove'] as const

async function loadFile(file: string): Promise<BackfillStep> {
  let found: unknown
  try {
    // Node 20 does not read TypeScript by itself.
    found = await createJiti(import.meta.url, { fsCache: false }).import(file, { default: true })
  } catch (error) {
    throw new ExecutionError('work-impossible', `${file} cannot be loaded: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const step = (found ?? {}) as Partial<BackfillStep>
  const lacking = NEEDED.filter((name) => typeof step[name] !== 'function')
  if (lacking.length === 0) return step as BackfillStep
  throw new ExecutionError(
    'work-impossible',
    `${file} exports no backfill step as its default: ${lacking.join(', ')} is missing (see defineBackfillStep)`,
  )
}
