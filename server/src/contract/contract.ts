import { type ArchiveDeps, makeArchive } from '../archive/archive.ts'
import { isCurrent } from '../archive/archive-current.ts'
import { type Archive, folderOf, latestArchive, readManifest, sha256 } from '../archive/manifest.ts'
import { cancelledOf } from '../ddl/ddl.ts'
import { appliedStatements, forgetFile } from '../ddl/ddl-records.ts'
import { runNoted, type SchemaDeps } from '../ddl/schema-work.ts'
import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import { ExecutionError, throwIfStopped } from '../target/execution-error.ts'
import { createProgress, type Progress } from '../target/progress.ts'
import { blockingDependents } from './dependents.ts'
import { whatGoes } from './going.ts'

export type ContractDeps = SchemaDeps & ArchiveDeps

/** How often what goes is archived anew because somebody still writes to it. */
const TRIES = 3

/**
 * Archives what contract.sql drops, proves the archive, then runs it. Once a statement of it has been applied,
 * the archive from before is the only one there can be: it is looked for, never made again.
 */
export async function contract(deps: ContractDeps, order: WorkOrder): Promise<WorkOutcome> {
  const { target, clock, archives } = deps
  const { id } = order.definition
  if (order.sql.contract === undefined) {
    throw new ExecutionError('work-impossible', `${id} has no contract.sql`)
  }
  const began = clock()
  const statements = await parseSql(order.sql.contract, 'contract.sql')
  const goes = whatGoes(statements)
  const applied = await appliedStatements(target, id, 'contract')
  const progress = createProgress(order.report, clock)
  let archive: Archive | undefined
  try {
    if (applied.statements.size > 0) {
      archive = await latestArchive(archives, id)
      if (goes.data.length > 0 && archive === undefined) {
        throw new ExecutionError(
          'archive-failed',
          `contract.sql has begun, and its archive is not in ${archives.place(id)}: put it back before anything more is dropped`,
        )
      }
    } else {
      const blocking = await blockingDependents(target, goes, order.definition.contract.unaffected)
      if (blocking.length > 0) {
        throw new ExecutionError(
          'archive-blocked',
          `nothing was dropped: ${blocking.join('; ')}. Drop it in contract.sql first, or change it beforehand.`,
        )
      }
      archive = goes.data.length === 0 ? undefined : await archived(deps, order, goes.data, progress)
      await forgetFile(target, id, 'restore')
    }
  } finally {
    progress.end()
  }
  if (applied.statements.size < statements.length) {
    throwIfStopped(order.signal)
    await order.committing()
  }
  const run = await runNoted(deps, order, 'contract', order.sql.contract)
  return {
    divergences: 0,
    detail: {
      statements: run.applied,
      appliedBefore: run.appliedBefore,
      ...cancelledOf(run),
      ...(archive === undefined
        ? {}
        : {
            archive: archives.place(archive.folder),
            tables: archive.manifest.tables.map(({ name, file, rows, bytes, sha256: checksum }) => ({
              name,
              file,
              rows,
              bytes,
              sha256: checksum,
            })),
          }),
      ms: clock() - began,
    },
  }
}

/** An archive that says the same as the database right now, made or found. */
async function archived(
  deps: ContractDeps,
  order: WorkOrder,
  data: Parameters<typeof makeArchive>[2],
  progress: Progress,
): Promise<Archive> {
  const found = await readManifest(deps.archives, folderOf(order.definition.id, order.epoch))
  // An earlier try ended between its archive and its first statement.
  if (
    found?.manifest.contractSha256 === sha256(order.sql.contract ?? '') &&
    (await isCurrent(deps, found, order.signal, progress).catch(() => false))
  ) {
    return found
  }
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    throwIfStopped(order.signal)
    const archive = await makeArchive(deps, order, data, progress)
    if (await isCurrent(deps, archive, order.signal, progress)) return archive
  }
  throw new ExecutionError(
    'archive-failed',
    `what contract.sql drops changed while it was archived, ${TRIES} times: somebody still writes to it`,
    { retryable: true },
  )
}
