import type { Snapshot, SubTransaction, Transaction } from './transaction.ts'
import { sees } from './transaction.ts'

/** Names a table and the type of its values. */
export interface Table<Value> {
  readonly name: string
  /** For the type checker alone. */
  readonly holds?: (value: Value) => Value
}

export const table = <Value>(name: string): Table<Value> => ({ name })

/** Keys from `from` (excluded) to `to` (included), in the order of strings. */
export interface KeyRange {
  readonly from?: string
  readonly to?: string
}

export const inRange = ({ from, to }: KeyRange, key: string): boolean =>
  (from === undefined || key > from) && (to === undefined || key <= to)

/** One version of a row. */
export interface Version {
  readonly key: string
  readonly value: unknown
  readonly by: SubTransaction
  /** Who updated or deleted it; means nothing once aborted. */
  endedBy: SubTransaction | undefined
  /** What it was updated to; undefined where it was deleted. */
  next: Version | undefined
  /** Who holds it FOR NO KEY UPDATE. */
  lockers: SubTransaction[]
}

/** A table: versions by key. */
export class Relation {
  readonly name: string
  readonly #versions = new Map<string, Version[]>()
  readonly #keys: string[] = []

  constructor(name: string) {
    this.name = name
  }

  /** Every key that was ever there, in order. */
  get keys(): readonly string[] {
    return this.#keys
  }

  /** Oldest first. */
  versions(key: string): readonly Version[] {
    return this.#versions.get(key) ?? []
  }

  visible(key: string, tx: Transaction, snapshot: Snapshot): Version | undefined {
    const versions = this.#versions.get(key)
    if (versions === undefined) return undefined
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version
      if (isVisible(version, tx, snapshot)) return version
    }
    return undefined
  }

  /** More than one where the transaction wrote a key anew that its snapshot still sees, for it was deleted since. */
  allVisible(key: string, tx: Transaction, snapshot: Snapshot): readonly Version[] {
    return this.versions(key).filter((version) => isVisible(version, tx, snapshot))
  }

  add(key: string, value: unknown, by: SubTransaction, horizon: number): Version {
    const version: Version = { key, value, by, endedBy: undefined, next: undefined, lockers: [] }
    const versions = this.#versions.get(key)
    if (versions === undefined) {
      this.#versions.set(key, [version])
      this.#insertKey(key)
      return version
    }
    if (versions.length >= 6) this.#vacuum(versions, horizon)
    versions.push(version)
    return version
  }

  /** Removes versions that no snapshot from `horizon` on can see. */
  #vacuum(versions: Version[], horizon: number): void {
    const kept = versions.filter(({ by, endedBy }) => {
      if (by.aborted) return false
      if (endedBy === undefined || endedBy.aborted) return true
      return endedBy.tx.status !== 'committed' || endedBy.tx.commit > horizon
    })
    versions.splice(0, versions.length, ...kept)
  }

  #insertKey(key: string): void {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#keys[middle] as string) < key) low = middle + 1
      else high = middle
    }
    this.#keys.splice(low, 0, key)
  }
}

function isVisible({ by, endedBy }: Version, tx: Transaction, snapshot: Snapshot): boolean {
  return sees(tx, snapshot, by) && (endedBy === undefined || !sees(tx, snapshot, endedBy))
}

/** Another transaction that holds this version: by an update or delete under way, or by a row lock. */
export function holderOf(version: Version, tx: Transaction): Transaction | undefined {
  const { endedBy, lockers } = version
  if (endedBy?.tx.active === true && endedBy.tx !== tx && !endedBy.aborted) return endedBy.tx
  for (const locker of lockers) {
    if (locker.tx.active && locker.tx !== tx && !locker.aborted) return locker.tx
  }
  return undefined
}

/** Locks a version that nobody else holds. */
export function lockVersion(version: Version, by: SubTransaction): void {
  if (version.lockers.length > 0) {
    version.lockers = version.lockers.filter((locker) => locker.tx.active && !locker.aborted)
  }
  version.lockers.push(by)
}
