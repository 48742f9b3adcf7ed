import type { MigrationState, Path } from '@switchback/migrations-registry'
import { servedPaths, writtenPaths } from '@switchback/migrations-registry'
import type { Database } from '../database/database.ts'
import { REPAIRS, repairKey } from '../database/target.ts'
import { MIGRATION, TABLES } from '../protocol/tables.ts'
import type { Epochs } from './epochs.ts'
import type { History } from './history.ts'
import type { User } from './operations.ts'
import { Violation } from './violation.ts'

/** That a path holds what was written last. */
export interface Claim {
  readonly path: Path
  /**
   * What of a key that is queued for repair of this path: it must be right all the same; or its readers
   * ask, and are served from the other path; or it is known to be behind.
   */
  readonly queued: 'never' | 'read' | 'known'
  readonly who: string
}

const other = (path: Path): Path => (path === 'old' ? 'new' : 'old')

/** Who is served from a path relies on it; what asks for repairs relies on the queue as well. */
export function claimsOfReaders(readers: readonly User[], epochs: Epochs): Map<string, Claim> {
  const claims = new Map<string, Claim>()
  for (const { epoch, who } of readers) {
    const routing = epochs.routing(epoch)
    if (routing === undefined) continue
    for (const path of servedPaths(routing)) {
      const asks = routing.asks?.includes(path) === true && writtenPaths(routing).includes(other(path))
      const queued = asks ? 'read' : 'never'
      claims.set(`${path} ${queued}`, { path, queued, who: `${who} is served from under epoch ${epoch}` })
    }
  }
  return claims
}

/** What a state says of its paths. */
export function* claimsOfState(state: MigrationState | undefined): Iterable<Claim> {
  for (const path of ['old', 'new'] as const) {
    if (state?.complete[path] !== true) continue
    yield { path, queued: 'known', who: `the state of epoch ${state.epoch} says is complete` }
  }
}

/** I2 and I4: a path that is served, or said to be complete, holds what was written last, or is known not to. */
export function checkData(db: Database, history: History, claims: Iterable<Claim>): void {
  const held = [...claims]
  if (held.length === 0) return
  const rows = { old: db.committed(TABLES.old), new: db.committed(TABLES.new) }
  const repairs = db.committed(REPAIRS)
  for (const [key, truth] of history.present()) {
    const behind = repairs.get(repairKey(MIGRATION, key))?.path
    for (const { path, queued, who } of held) {
      const value = rows[path].get(key)
      const open = behind === path
      if (open && queued === 'read') {
        const instead = rows[other(path)].get(key)
        if (instead === truth) continue
        throw new Violation(
          'I4',
          `${key} waits for repair of ${path}, and ${other(path)} has ${instead} instead of ${truth}`,
        )
      }
      if (value === truth || (open && queued === 'known')) continue
      throw new Violation(
        queued === 'known' ? 'I2' : 'I4',
        `${path}, which ${who}, has ${key} = ${value} instead of ${truth}`,
      )
    }
  }
}
