import type { Path } from '@switchback/migrations-registry'
import type { RuntimeOptions } from './migration-runtime.ts'

export const otherPath = (path: Path): Path => (path === 'old' ? 'new' : 'old')

/** Where the paths of one migration are read, and where it is known that one of them is behind. */
export interface ReadPlaces {
  /** What handlers of a path run their statements on; undefined where the SDK knows of no database. */
  readonly readers: Readonly<Record<Path, unknown>>
  repairOpen(migration: string, key: string, path: Path): Promise<boolean>
}

export function readPlacesOf({ transaction, independent }: RuntimeOptions): ReadPlaces {
  if (independent !== undefined) {
    return {
      readers: { old: independent.old.reader, new: independent.new.reader },
      // Written in the transaction of the path that is ahead, and so in that one's database.
      repairOpen: (migration, key, path) => independent[otherPath(path)].repairOpen(migration, key, path),
    }
  }
  return {
    readers: { old: transaction?.reader, new: transaction?.reader },
    repairOpen: async (migration, key, path) =>
      transaction !== undefined && (await transaction.repairOpen(migration, key, path)),
  }
}
