import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { ExecutionError } from '../target/execution-error.ts'
import type { ArchiveStore } from './archive-store.ts'

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
  /** In the store, such as `user-profiles/epoch-9`. */
  readonly folder: string
  readonly manifest: Manifest
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export const folderOf = (migration: string, epoch: number): string => `${migration}/epoch-${epoch}`

const MANIFEST = 'manifest.json'

/** The manifest comes last and in one piece: where it is, the archive is complete. */
export const writeManifest = (
  store: ArchiveStore,
  folder: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> =>
  store.write(`${folder}/${MANIFEST}`, Readable.from([`${JSON.stringify(manifest, null, 2)}\n`]), signal)

export const removeManifest = (store: ArchiveStore, folder: string): Promise<void> =>
  store.remove(`${folder}/${MANIFEST}`)

export async function readManifest(store: ArchiveStore, folder: string): Promise<Archive | undefined> {
  const name = `${folder}/${MANIFEST}`
  try {
    const stream = await store.read(name, new AbortController().signal)
    if (stream === undefined) return undefined
    return { folder, manifest: manifestSchema.parse(JSON.parse(await text(stream))) }
  } catch (error) {
    throw new ExecutionError('archive-failed', `the manifest ${store.place(name)} cannot be read`, {
      cause: error,
    })
  }
}

/** Folders of a migration with a complete archive, the newest epoch first. */
async function foldersOf(store: ArchiveStore, migration: string): Promise<readonly string[]> {
  const names = await store.list(migration)
  const epochs = names
    .flatMap((name) => new RegExp(`^${migration}/epoch-(\\d+)/${MANIFEST}$`).exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a)
  return epochs.map((epoch) => folderOf(migration, epoch))
}

/** The complete archive of the latest epoch. */
export async function latestArchive(store: ArchiveStore, migration: string): Promise<Archive | undefined> {
  const [newest] = await foldersOf(store, migration)
  return newest === undefined ? undefined : readManifest(store, newest)
}

/** Removes archives that were made before `before`; returns where they were. */
export async function pruneArchives(
  store: ArchiveStore,
  migration: string,
  before: number,
): Promise<readonly string[]> {
  const pruned: string[] = []
  for (const folder of await foldersOf(store, migration)) {
    const archive = await readManifest(store, folder)
    if (archive === undefined || Date.parse(archive.manifest.at) >= before) continue
    // The manifest first: what is left of an archive that is being removed must not look complete.
    await removeManifest(store, folder)
    for (const name of await store.list(folder)) await store.remove(name)
    pruned.push(store.place(folder))
  }
  return pruned
}
