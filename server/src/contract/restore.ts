import type { CopyMapping } from '@switchback/migrations-registry'
import { archivedColumns, readBack } from '../archive/archive.ts'
import type { ArchiveStore } from '../archive/archive-store.ts'
import { type Archive, type ArchivedTable, latestArchive } from '../archive/manifest.ts'
import { stageArchive } from '../archive/stage-archive.ts'
import { quoteIdent } from '../db/db.ts'
import { runSqlFile } from '../ddl/ddl.ts'
import { appliedStatements, recordWhole } from '../ddl/ddl-records.ts'
import { runNoted } from '../ddl/schema-work.ts'
import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { ExecutionError, throwIfStopped } from '../target/execution-error.ts'
import { persistently } from '../target/persistently.ts'
import { createProgress, type Progress } from '../target/progress.ts'
import type { Connection } from '../target/target.ts'
import type { ContractDeps } from './contract.ts'

export type RestoreDeps = ContractDeps

const BATCH = 5_000
/** Below PostgreSQL's deadlock timeout, so that the application is never the victim. */
const LOCK_TIMEOUT_MS = 700

/**
 * Brings back what contract dropped: tables and columns, then their archived values for rows that still
 * exist. Values written elsewhere in a row since stay; rows written since have the default or null, until
 * the reverse backfill fills them.
 */
export async function restore(deps: RestoreDeps, order: WorkOrder): Promise<WorkOutcome> {
  const { target, clock, archives } = deps
  const migration = order.definition.id
  const began = clock()
  const before = await appliedStatements(target, migration, 'restore')
  // Done, and only the report of it was lost: once more would undo what was written since.
  if (before.completedIn !== undefined) return { divergences: 0, detail: { rows: 0 } }
  const contracted = await appliedStatements(target, migration, 'contract')
  const archive = await latestArchive(archives, migration)
  if (archive === undefined) {
    if (contracted.statements.size === 0) return { divergences: 0, detail: { rows: 0 } }
    throw new ExecutionError(
      'restore-failed',
      `there is no archive of ${migration} in ${archives.place(migration)}`,
    )
  }
  await requireWhole(archives, archive, order.signal)
  const { tables } = archive.manifest
  // By the executor of DDL: bringing a column back needs the same lock as taking it away.
  await runSqlFile(deps, order, 'restore', tables.flatMap(({ ddl }) => ddl).join(';\n'))
  const progress = createProgress(order.report, clock)
  let rows = 0
  try {
    for (const table of tables) {
      progress.stage(`restoring ${table.name}`, table.rows)
      rows += await persistently(deps, order.signal, () => restoreRows(deps, order, archive, table, progress))
    }
  } finally {
    progress.end()
  }
  const sql = [...tables.flatMap(({ ddl }) => ddl), ...tables.flatMap(({ afterwards }) => afterwards)].join(
    ';\n',
  )
  await runNoted(deps, order, 'restore', sql)
  await recordWhole(target, { migration, file: 'restore', epoch: order.epoch }, 'contract')
  return {
    divergences: 0,
    detail: {
      rows,
      tables: tables.map(({ name }) => name),
      archive: archives.place(archive.folder),
      ms: clock() - began,
    },
  }
}

/** An archive that was damaged since is found before the schema is touched. */
async function requireWhole(
  archives: ArchiveStore,
  { folder, manifest }: Archive,
  signal: AbortSignal,
): Promise<void> {
  for (const table of manifest.tables) {
    const name = `${folder}/${table.file}`
    const { sha256, rows } = await readBack(archives, name, signal)
    if (sha256 === table.sha256 && rows === table.rows) continue
    throw new ExecutionError(
      'restore-failed',
      `${archives.place(name)} is damaged: its checksum is not the one in its manifest`,
    )
  }
}

async function restoreRows(
  { target, archives }: RestoreDeps,
  order: WorkOrder,
  archive: Archive,
  table: ArchivedTable,
  progress: Progress,
): Promise<number> {
  return target.cancellable(order.signal, async (connection) => {
    await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    await stageArchive(connection, archives, archive, table, order.signal)
    let restored = 0
    // Without a key nothing tells which rows are back already: all of them or none.
    const size = table.key.length === 0 ? Math.max(1, table.rows) : BATCH
    for (let from = 0; from < table.rows; from += size) {
      throwIfStopped(order.signal)
      const params = [from, from + size]
      const { rowCount } = await connection.query(mergeSql(order, table), params)
      restored += rowCount ?? 0
      progress.advance(Math.min(size, table.rows - from))
    }
    await connection.query('drop table switchback_restore')
    await resetIdentities(connection, table)
    return restored
  })
}

const nameOf = ({ schema, name }: ArchivedTable): string => `${quoteIdent(schema)}.${quoteIdent(name)}`

function mergeSql({ definition: { copy } }: WorkOrder, table: ArchivedTable): string {
  const batch = 'a.switchback_row > $1 and a.switchback_row <= $2'
  const columns = archivedColumns(table).map(quoteIdent)
  const sameKey = table.key.map((name) => `t.${quoteIdent(name)} = a.${quoteIdent(name)}`).join(' and ')
  if (!table.whole) {
    const going = table.columns
      .filter(({ name }) => !table.key.includes(name))
      .map(({ name }) => quoteIdent(name))
    // Text: not every type has an equality, and what is equal need not be written.
    const changed = going.map((name) => `t.${name}::text is distinct from a.${name}::text`)
    return `update ${nameOf(table)} t set ${going.map((name) => `${name} = a.${name}`).join(', ')}
      from switchback_restore a where ${batch} and ${sameKey} and (${changed.join(' or ')})`
  }
  const already = `exists (select from ${nameOf(table)} t${table.key.length === 0 ? '' : ` where ${sameKey}`})`
  // Rows whose counterpart in new was removed since stay away.
  const plain = copy !== undefined && isFrom(copy.from, table) ? Object.entries(copy.key) : []
  const usable =
    plain.length > 0 && plain.every(([, expression]) => table.columns.some(({ name }) => name === expression))
  const kept =
    usable && copy !== undefined && copy.where === undefined && isHere(copy)
      ? `exists (select from ${copy.to.split('.').map(quoteIdent).join('.')} n where ${plain
          .map(([name, expression]) => `n.${quoteIdent(name)} = a.${quoteIdent(expression)}`)
          .join(' and ')})`
      : 'true'
  return `insert into ${nameOf(table)} (${columns.join(', ')}) overriding system value
    select ${columns.map((name) => `a.${name}`).join(', ')} from switchback_restore a
    where ${batch} and not ${already} and ${kept}`
}

/** Whether new is a table of this database, too. */
const isHere = ({ toTarget, step }: CopyMapping): boolean => toTarget === undefined && step === undefined

const isFrom = (from: string, { schema, name }: ArchivedTable): boolean =>
  from.toLowerCase() === name || from.toLowerCase() === `${schema}.${name}`

/** Identity columns go on after the greatest value that came back. */
async function resetIdentities(connection: Connection, table: ArchivedTable): Promise<void> {
  if (!table.whole) return
  for (const { name, identity, default: value } of table.columns) {
    if (!identity && !/^nextval\(/i.test(value ?? '')) continue
    await connection.query(
      `select setval(pg_get_serial_sequence($1, $2), greatest(max(${quoteIdent(name)}), 1)) from ${nameOf(table)}`,
      [nameOf(table), name],
    )
  }
}
