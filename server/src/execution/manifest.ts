import { createHash } from 'node:crypto'
import { open, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { ExecutionError, sqlStateOf } from './execution-error.ts'

const columnSchema = z.object({
  name: z.string(),
  type: z.string(),
  notNull: z.boolean(),
  default: z.string().nullable(),
  identity: z.boolean(),
})

const tableSchema = z.object({
  schema: z.string(),
  name: z.string(),
  /** Whether all of the table was archived, or columns of it. */
  whole: z.boolean(),
  /** Columns that tell its rows apart; they are in the file too. */
  key: z.array(z.string()),
  columns: z.array(columnSchema),
  file: z.string(),
  rows: z.int(),
  bytes: z.int(),
  /** Of the CSV, before compression. */
  sha256: z.string(),
  /** SQL that brings the table or its columns back, then its constraints and indexes. */
  ddl: z.array(z.string()),
  afterwards: z.array(z.string()),
})

const manifestSchema = z.object({
  version: z.literal(1),
  migration: z.string(),
  epoch: z.int(),
  at: z.iso.datetime(),
  contract: z.string(),
  contractSha256: z.string(),
  tables: z.array(tableSchema),
})

export type ArchivedColumn = z.output<typeof columnSchema>
export type ArchivedTable = z.output<typeof tableSchema>
export type Manifest = z.output<typeof manifestSchema>

export interface Archive {
  readonly folder: string
  readonly manifest: Manifest
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export const folderOf = (archiveDir: string, migration: string, epoch: number): string =>
  join(archiveDir, migration, `epoch-${epoch}`)

/** Makes names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The manifest comes last and in one piece: where it is, the archive is complete. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const path = join(folder, 'manifest.json')
  const handle = await open(`${path}.partial`, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(manifest, null, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${path}.partial`, path)
  await syncFolder(folder)
  await syncFolder(dirname(folder))
}

export async function readManifest(folder: string): Promise<Archive | undefined> {
  try {
    const text = await readFile(join(folder, 'manifest.json'), 'utf8')
    return { folder, manifest: manifestSchema.parse(JSON.parse(text)) }
  } catch (error) {
    if (sqlStateOf(error) === 'ENOENT') return undefined
    throw new ExecutionError('archive-failed', `the manifest in ${folder} cannot be read`, { cause: error })
  }
}

/** The complete archive of the latest epoch. */
export async function latestArchive(archiveDir: string, migration: string): Promise<Archive | undefined> {
  const folders = await readdir(join(archiveDir, migration)).catch((error: unknown) => {
    if (sqlStateOf(error) === 'ENOENT') return []
    throw error
  })
  const epochs = folders
    .flatMap((name) => /^epoch-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a)
  for (const epoch of epochs) {
    const archive = await readManifest(folderOf(archiveDir, migration, epoch))
    if (archive !== undefined) return archive
  }
  return undefined
}
