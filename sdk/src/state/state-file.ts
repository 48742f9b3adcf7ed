import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import type { Snapshot } from '@switchback/migrations-registry'
import { snapshotSchema } from '@switchback/migrations-registry'
import type { Log } from '../log.ts'

export interface StateFile {
  /** The last good state; undefined where there is none that can be read. */
  load(): Promise<Snapshot | undefined>
  /** Keeps this state. Calls while one is being written are merged into one more write of the newest. */
  save(snapshot: Snapshot): void
  /** Resolves when nothing is left to write. */
  settled(): Promise<void>
}

/** Keeps the last good state in a file that is replaced whole: a reader sees the old or the new one. */
export function createStateFile(path: string, log: Log): StateFile {
  let next: Snapshot | undefined
  let writing: Promise<void> | undefined

  const writeAll = async (): Promise<void> => {
    while (next !== undefined) {
      const text = JSON.stringify(next)
      next = undefined
      const temporary = `${path}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`
      try {
        const file = await open(temporary, 'wx', 0o600)
        try {
          await file.writeFile(text)
          // Without it a crash of the machine may leave the new name with nothing in it.
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(temporary, path)
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => undefined)
        log.warn('the last good state could not be written', { path, error: String(error) })
      }
    }
    writing = undefined
  }

  return {
    load: async () => {
      try {
        const parsed = snapshotSchema.safeParse(JSON.parse(await readFile(path, 'utf8')))
        if (parsed.success) return parsed.data
        log.warn('the last good state is not readable and is left out', { path, error: parsed.error.message })
      } catch (error) {
        const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
        if (!missing)
          log.warn('the last good state is not readable and is left out', { path, error: String(error) })
      }
      return undefined
    },
    save: (snapshot) => {
      next = snapshot
      writing ??= writeAll()
    },
    settled: () => writing ?? Promise.resolve(),
  }
}
