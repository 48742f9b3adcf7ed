import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { from as copyFrom } from 'pg-copy-streams'
import { quoteIdent } from '../db/db.ts'
import { ExecutionError } from '../target/execution-error.ts'
import type { Connection } from '../target/target.ts'
import { archivedColumns } from './archive.ts'
import type { ArchiveStore } from './archive-store.ts'
import type { Archive, ArchivedTable } from './manifest.ts'

/** Archived rows, numbered from 1, in a table of this session alone. */
export async function stageArchive(
  connection: Connection,
  archives: ArchiveStore,
  { folder }: Archive,
  table: ArchivedTable,
  signal: AbortSignal,
): Promise<void> {
  const columns = archivedColumns(table).map(quoteIdent)
  await connection.query('drop table if exists pg_temp.switchback_restore')
  await connection.query(
    `create temp table switchback_restore as select ${columns.join(', ')} from ${quoteIdent(table.schema)}.${quoteIdent(table.name)} with no data`,
  )
  await connection.query('alter table switchback_restore add column switchback_row bigserial')
  const name = `${folder}/${table.file}`
  const stream = await archives.read(name, signal)
  if (stream === undefined) {
    throw new ExecutionError('archive-failed', `${archives.place(name)} is not there`)
  }
  await pipeline(
    stream,
    createGunzip(),
    connection.client.query(
      copyFrom(`copy switchback_restore (${columns.join(', ')}) from stdin with (format csv, header)`),
    ),
    { signal },
  )
  await connection.query('create index on switchback_restore (switchback_row)')
  await connection.query('analyze switchback_restore')
}
