import type { MigrationState } from '@switchback/migrations-registry'
import type { Database } from '../database/database.ts'
import { REPAIRS, repairKey } from '../database/target.ts'
import { MIGRATION, TABLES } from '../protocol/tables.ts'
import { type Epochs, otherPath, type Reliance } from './epochs.ts'
import type { History } from './history.ts'
import { nameOf, type User } from './operations.ts'
import { Violation } from './violation.ts'

/** That a path holds what was written last, and who says so. */
export interface Claim {
  readonly path: Reliance['path']
  readonly queued: Reliance['queued'] | 'known'
  readonly by: User | MigrationState | string
}

/** By what is claimed: of several who rely on the same, one is named. */
export type Claims = Map<string, Claim>

/** Set by the end of a backfill. */
export const COPIED: Claim = { path: 'new', queued: 'known', by: 'the backfill has copied' }

/** Who is served from a path relies on it; what asks for repairs relies on the queue as well. */
export function claimsOfReaders(readers: readonly User[], epochs: Epochs): Claims {
  const claims: Claims = new Map()
  for (const user of readers) {
    for (const { name, path, queued } of epochs.reliances(user.epoch)) {
      claims.set(name, { path, queued, by: user })
    }
  }
  return claims
}

/** What a state says of its paths. */
export function claimsOfState(claims: Claims, state: MigrationState | undefined): void {
  for (const path of PATHS) {
    if (state?.complete[path] === true) claims.set(`${path} known`, { path, queued: 'known', by: state })
  }
}

const PATHS = ['old', 'new'] as const

function whose({ by }: Claim): string {
  if (typeof by === 'string') return by
  if ('as' in by) return `${nameOf(by)} is served from under epoch ${by.epoch}`
  return `the state of epoch ${by.epoch} says is complete`
}

/** I2 and I4: a path that is served, or said to be complete, holds what was written last, or is known not to. */
export function checkData(db: Database, history: History, claims: Claims): void {
  if (claims.size === 0) return
  const rows = { old: db.committed(TABLES.old), new: db.committed(TABLES.new) }
  const repairs = db.committed(REPAIRS)
  for (const key of history.keys()) {
    const truth = history.present(key)
    const behind = repairs.size === 0 ? undefined : repairs.get(repairKey(MIGRATION, key))?.path
    for (const claim of claims.values()) {
      const { path, queued } = claim
      const value = rows[path].get(key)
      const open = behind === path
      if (open && queued === 'read') {
        const instead = rows[otherPath(path)].get(key)
        if (instead === truth) continue
        throw new Violation(
          'I4',
          `${key} waits for repair of ${path}, and ${otherPath(path)} has ${instead} instead of ${truth}`,
        )
      }
      if (value === truth || (open && queued === 'known')) continue
      throw new Violation(
        queued === 'known' ? 'I2' : 'I4',
        `${path}, which ${whose(claim)}, has ${key} = ${value} instead of ${truth}`,
      )
    }
  }
}
