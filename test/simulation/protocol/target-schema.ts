import type { Path } from '@switchback/migrations-registry'
import { DbError } from '../database/db-error.ts'

/** What of a migration's schema is there. DDL is not what the simulation is about: it takes effect at once. */
export class TargetSchema {
  fence = false
  readonly paths: Record<Path, boolean> = { old: true, new: false }

  require(path: Path): void {
    if (!this.paths[path]) throw new DbError('42P01', `relation "${path}" does not exist`)
  }

  requireFence(): void {
    if (!this.fence) throw new DbError('42883', 'function switchback.enter does not exist')
  }
}
