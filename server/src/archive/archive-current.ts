import { quoteIdent } from '../db/db.ts'
import type { Progress } from '../target/progress.ts'
import { type ArchiveDeps, readBack, readTable } from './archive.ts'
import type { Archive, ArchivedTable } from './manifest.ts'
import { stageArchive } from './stage-archive.ts'

/**
 * Whether the files are whole and still say the same as the database. A table that goes must be the same to
 * the byte. Where only columns go the table lives on, and rows come and go in it: then no archived row that is
 * still there may have changed in what goes, for that would be somebody who still writes old.
 */
export async function isCurrent(
  { target, archives }: Pick<ArchiveDeps, 'target' | 'archives'>,
  archive: Archive,
  signal: AbortSignal,
  progress: Progress,
): Promise<boolean> {
  const { folder, manifest } = archive
  for (const table of manifest.tables) {
    progress.stage(`comparing the archive of ${table.name}`, table.rows)
    const file = await readBack(archives, `${folder}/${table.file}`, signal)
    if (file.sha256 !== table.sha256 || file.rows !== table.rows) return false
    if (table.whole) {
      const database = await readTable(target, table, signal)
      if (database.sha256 !== table.sha256) return false
    } else if ((await countChanged({ target, archives }, archive, table, signal)) > 0) {
      return false
    }
  }
  return true
}

/** Archived rows that are still in the table, with other values in the columns that go. */
async function countChanged(
  { target, archives }: Pick<ArchiveDeps, 'target' | 'archives'>,
  archive: Archive,
  table: ArchivedTable,
  signal: AbortSignal,
): Promise<number> {
  const sameKey = table.key.map((name) => `t.${quoteIdent(name)} = a.${quoteIdent(name)}`).join(' and ')
  // Text: not every type has an equality.
  const changed = table.columns
    .filter(({ name }) => !table.key.includes(name))
    .map(({ name }) => `t.${quoteIdent(name)}::text is distinct from a.${quoteIdent(name)}::text`)
  return await target.cancellable(signal, async (connection) => {
    await stageArchive(connection, archives, archive, table, signal)
    const { rows } = await connection.query<{ changed: number }>(
      `select count(*) as changed from switchback_restore a
       join ${quoteIdent(table.schema)}.${quoteIdent(table.name)} t on ${sameKey} where ${changed.join(' or ')}`,
    )
    await connection.query('drop table switchback_restore')
    return rows[0]?.changed ?? 0
  })
}
