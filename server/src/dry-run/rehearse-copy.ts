import type { MigrationDefinition, MigrationSql } from '@switchback/migrations-registry'
import { executionOn } from '../execution/execution.ts'
import { messageOf } from '../target/execution-error.ts'
import type { Target } from '../target/target.ts'

/** What came of copying the sampled rows of old to new. */
export interface RehearsedCopy {
  readonly copied: number
  /** Rows that cannot be copied as they are. */
  readonly failed: readonly { readonly key: string; readonly error: string }[]
  readonly error?: string
}

const SHOWN = 20
const PATIENCE_MS = 5_000

/** Runs the backfill on a scratch copy: contract.sql then finds new as it would be by then. */
export async function rehearseCopy(
  scratch: Target,
  definition: MigrationDefinition,
  sql: MigrationSql,
): Promise<RehearsedCopy | undefined> {
  if (definition.copy === undefined || definition.copy.toTarget !== undefined) return undefined
  const execution = executionOn(scratch, { archiveDir: '', clock: Date.now, patienceMs: PATIENCE_MS })
  const { id } = definition
  const failed = async () =>
    (await execution.listFailedRows(id, { limit: SHOWN })).map(({ key, error }) => ({ key, error }))
  try {
    await execution.prepare(id)
    const { detail } = await execution.run('backfill', {
      definition,
      sql,
      epoch: 1,
      signal: new AbortController().signal,
      report: () => undefined,
      heldBackBy: () => undefined,
      committing: async () => undefined,
    })
    return { copied: Number(detail.rows ?? 0), failed: await failed() }
  } catch (error) {
    return { copied: 0, failed: await failed().catch(() => []), error: messageOf(error) }
  }
}
