import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { sqlStateOf } from '../target/execution-error.ts'

/** Where archives are kept. Names are paths with slashes, such as `user-profiles/epoch-9/manifest.json`. */
export interface ArchiveStore {
  /** How a person finds it. */
  place(name: string): string
  /** Durable, and whole, when it resolves; until then the name holds what it held before. */
  write(name: string, content: Readable, signal: AbortSignal): Promise<void>
  /** Undefined where there is no such name. */
  read(name: string, signal: AbortSignal): Promise<Readable | undefined>
  /** Names that begin with this folder. */
  list(folder: string): Promise<readonly string[]>
  remove(name: string): Promise<void>
}

/** Archives in a folder of this machine. */
export function folderStore(root: string): ArchiveStore {
  const pathOf = (name: string): string => join(root, ...name.split('/'))
  return {
    place: pathOf,
    write: async (name, content, signal) => {
      const path = pathOf(name)
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const partial = `${path}.partial`
      await pipeline(content, createWriteStream(partial, { mode: 0o600 }), { signal })
      await synced(partial)
      await rename(partial, path)
      await synced(dirname(path))
      await synced(dirname(dirname(path)))
    },
    read: async (name, signal) => {
      const path = pathOf(name)
      try {
        // Opened here, so that a missing file is told apart from one that cannot be read to its end.
        const handle = await open(path, 'r')
        return createReadStream(path, { fd: handle, signal })
      } catch (error) {
        if (sqlStateOf(error) === 'ENOENT') return undefined
        throw error
      }
    },
    list: async (folder) => {
      const entries = await readdir(pathOf(folder), { withFileTypes: true, recursive: true }).catch(
        (error: unknown) => {
          if (sqlStateOf(error) === 'ENOENT') return []
          throw error
        },
      )
      const base = pathOf(folder)
      return entries
        .filter((entry) => entry.isFile() && !entry.name.endsWith('.partial'))
        .map((entry) =>
          `${folder}${join(entry.parentPath, entry.name).slice(base.length)}`.replaceAll('\\', '/'),
        )
        .sort()
    },
    remove: (name) => rm(pathOf(name), { force: true }),
  }
}

/** Makes a file, or the names in a folder, durable. */
async function synced(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
