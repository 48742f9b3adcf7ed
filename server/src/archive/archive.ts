import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { to as copyTo } from 'pg-copy-streams'
import { readCatalog } from '../catalog/read-catalog.ts'
import type { Going } from '../contract/going.ts'
import { rightsDdl } from '../contract/rights-ddl.ts'
import { quoteIdent } from '../db/db.ts'
import { quoted } from '../ddl/concurrent-ddl.ts'
import type { WorkOrder } from '../execution/execution-port.ts'
import { columnsOf } from '../mapping/table-columns.ts'
import { ExecutionError, throwIfStopped, WorkStopped } from '../target/execution-error.ts'
import type { Progress } from '../target/progress.ts'
import type { Sql, Target } from '../target/target.ts'
import { bringBackDdl, constraintsDdl } from './archive-ddl.ts'
import type { ArchiveStore } from './archive-store.ts'
import { csvMeter } from './csv-stream.ts'
import {
  type Archive,
  type ArchivedTable,
  folderOf,
  type Manifest,
  removeManifest,
  sha256,
  writeManifest,
} from './manifest.ts'

export interface ArchiveDeps {
  readonly target: Target
  readonly clock: () => number
  readonly archives: ArchiveStore
}

interface Measured {
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
}

/** Exports what goes, durably, and reads it back. */
export async function makeArchive(
  deps: ArchiveDeps,
  order: WorkOrder,
  data: readonly Going[],
  progress: Progress,
): Promise<Archive> {
  const { target, archives, clock } = deps
  const folder = folderOf(order.definition.id, order.epoch)
  // What an earlier try left behind is no archive until its manifest is written anew.
  await removeManifest(archives, folder)
  const tables: ArchivedTable[] = []
  for (const going of data) {
    const described = await describe(target, going)
    if (described === undefined) continue
    progress.stage(`archiving ${described.name}`)
    const name = `${folder}/${described.file}`
    const written = await exportTable(deps, described, name, order.signal, progress)
    const back = await readBack(archives, name, order.signal)
    if (back.sha256 !== written.sha256 || back.rows !== written.rows) {
      throw new ExecutionError(
        'archive-failed',
        `${archives.place(name)} reads back other than it was written`,
      )
    }
    tables.push({ ...described, ...written })
  }
  const contract = order.sql.contract ?? ''
  const manifest: Manifest = {
    version: 1,
    migration: order.definition.id,
    epoch: order.epoch,
    at: new Date(clock()).toISOString(),
    contract,
    contractSha256: sha256(contract),
    tables,
  }
  await writeManifest(archives, folder, manifest, order.signal)
  return { folder, manifest }
}

type Described = Omit<ArchivedTable, 'rows' | 'bytes' | 'sha256'>

async function describe(on: Target, going: Going): Promise<Described | undefined> {
  const { rows } = await on.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = to_regclass($1)`,
    [quoted(going.table)],
  )
  const [found] = rows
  // `if exists` in contract.sql: there is nothing to lose.
  if (found === undefined) return undefined
  const all = await columnsOf(on, `${found.schema}.${found.name}`)
  const key = await primaryKeyOf(on, all.table)
  const constraints = await constraintsDdl(on, all.table, going)
  const lost = [...all.columns.values()].filter(
    ({ name, generated }) => !generated && (going.whole || going.columns.includes(name)),
  )
  if (!going.whole && key.length === 0) {
    throw new ExecutionError(
      'archive-failed',
      `${going.table.name} has no primary key: archived columns could not be put back to their rows`,
    )
  }
  const columns = lost.map(({ name, type, notNull, default: value, identity }) => ({
    name,
    type,
    notNull,
    default: value,
    identity,
  }))
  return {
    ...found,
    whole: going.whole,
    key: [...key],
    columns,
    file: `${found.schema}.${found.name}.csv.gz`.replaceAll(/[^\w.-]/g, '_'),
    ddl: [...bringBackDdl(all.table, columns, going), ...constraints.primary],
    afterwards: [...constraints.afterwards, ...rightsDdl(await readCatalog(on), found, going)],
  }
}

async function primaryKeyOf(on: Sql, table: string): Promise<readonly string[]> {
  const { rows } = await on.query<{ name: string }>(
    `select a.attname as name from pg_index i
       cross join unnest(i.indkey::int2[]) with ordinality k(attnum, place)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = to_regclass($1) and i.indisprimary order by k.place`,
    [table],
  )
  return rows.map(({ name }) => name)
}

const nameOf = ({ schema, name }: { schema: string; name: string }): string =>
  `${quoteIdent(schema)}.${quoteIdent(name)}`

/** Columns of the file, in their order. */
export const archivedColumns = ({
  key,
  columns,
}: Pick<ArchivedTable, 'key' | 'columns'>): readonly string[] => [
  ...key,
  ...columns.map(({ name }) => name).filter((name) => !key.includes(name)),
]

const copySql = (table: Described): string =>
  `copy (select ${archivedColumns(table).map(quoteIdent).join(', ')} from ${nameOf(table)}
   order by ${table.key.length === 0 ? 'tableoid, ctid' : table.key.map(quoteIdent).join(', ')}) to stdout with (format csv, header)`

async function exportTable(
  { target, archives }: ArchiveDeps,
  table: Described,
  name: string,
  signal: AbortSignal,
  progress: Progress,
): Promise<Measured> {
  const meter = csvMeter()
  const timer = setInterval(() => progress.detail({ rows: meter.rows() }), 200)
  try {
    await target.cancellable(signal, async (connection) => {
      const compressed = createGzip({ level: 4 })
      await Promise.all([
        pipeline(connection.client.query(copyTo(copySql(table))), meter, compressed, { signal }),
        archives.write(name, compressed, signal),
      ])
    })
    return { rows: meter.rows(), bytes: meter.bytes(), sha256: meter.sha256() }
  } finally {
    clearInterval(timer)
  }
}

const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })

export async function readTable(target: Target, table: Described, signal: AbortSignal): Promise<Measured> {
  const meter = csvMeter()
  await target.cancellable(signal, (connection) =>
    pipeline(connection.client.query(copyTo(copySql(table))), meter, nowhere(), { signal }),
  )
  return { rows: meter.rows(), bytes: meter.bytes(), sha256: meter.sha256() }
}

export async function readBack(archives: ArchiveStore, name: string, signal: AbortSignal): Promise<Measured> {
  const meter = csvMeter()
  try {
    const stream = await archives.read(name, signal)
    if (stream === undefined) throw new Error('there is no such file')
    await pipeline(stream, createGunzip(), meter, nowhere(), { signal })
  } catch (error) {
    throwIfStopped(signal)
    if (error instanceof WorkStopped) throw error
    throw new ExecutionError('archive-failed', `${archives.place(name)} cannot be read back`, {
      cause: error,
    })
  }
  return { rows: meter.rows(), bytes: meter.bytes(), sha256: meter.sha256() }
}
