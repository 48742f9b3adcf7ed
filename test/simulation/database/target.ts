import type { StatementBody } from './backend.ts'
import { DbError } from './db-error.ts'
import type { KeyRange, Table } from './relation.ts'
import { table } from './relation.ts'
import type { Statement } from './statement.ts'

export type Side = 'old' | 'new'

export interface Repair {
  /** The path that is behind. */
  readonly path: Side
  readonly epoch: number
  readonly reason: string
}

/** What Switchback keeps in a target, as `target-schema.sql` and `fence.sql` have it. */
export const REPAIRS = table<Repair>('switchback.repairs')

const SEPARATOR = '\u001f'
/** One row for a key, whatever the path. */
export const repairKey = (migration: string, key: string): string => [migration, key].join(SEPARATOR)
export const fenceLock = (migration: string, epoch: number): string => `fence ${migration} ${epoch}`
export const keyLock = (migration: string, key: string): string => `key ${migration} ${key}`
export const minimumSequence = (migration: string): string => `minimum:${migration}`

/** Where the minimum is kept; anything but a sequence is there to be shown wrong. */
export interface FenceMinimum {
  read(on: Statement, migration: string): number
  raise(on: Statement, migration: string, epoch: number): void | Promise<void>
}

export const SEQUENCE_MINIMUM: FenceMinimum = {
  read: (on, migration) => on.sequence(minimumSequence(migration)),
  raise: (on, migration, epoch) => on.setSequence(minimumSequence(migration), epoch),
}

export interface Entering {
  readonly migration: string
  readonly epoch: number
  /** Null takes no key's lock. */
  readonly key: string | null
}

/** `enter:<id>`: the shared lock of the epoch, then the minimum, then the lock of the key. */
export const enter =
  ({ migration, epoch, key }: Entering, minimum: FenceMinimum = SEQUENCE_MINIMUM): StatementBody<void> =>
  async (on) => {
    const passed = () => new DbError('SB001', `epoch ${epoch} of ${migration} has passed`)
    if (!on.tryLock(fenceLock(migration, epoch), 'shared')) throw passed()
    // The server may turn to others between two statements of a function.
    await on.pause()
    on.renewSnapshot()
    if (epoch < minimum.read(on, migration)) throw passed()
    if (key !== null) await on.lock(keyLock(migration, key), 'exclusive')
  }

/** `raise:<id>`: never lowers; one at a time. Returns the minimum that holds now. */
export const raise =
  (migration: string, epoch: number, minimum: FenceMinimum = SEQUENCE_MINIMUM): StatementBody<number> =>
  async (on) => {
    await on.lock(`raise ${migration}`, 'exclusive')
    await on.pause()
    on.renewSnapshot()
    const present = minimum.read(on, migration)
    if (epoch <= present) return present
    await minimum.raise(on, migration, epoch)
    return epoch
  }

/** `queue_repair`: refused where the other path waits for a repair of the same key. */
export const queueRepair =
  (migration: string, key: string, repair: Repair): StatementBody<void> =>
  async (on) => {
    on.renewSnapshot()
    const samePath = (before: Repair) => before.path === repair.path
    if ((await on.upsert(REPAIRS, repairKey(migration, key), repair, samePath)) !== 'unchanged') return
    throw new DbError('SB002', `key ${key} of ${migration} waits for repair of the other path`)
  }

/** `repair_open`: asked with the snapshot of the statement that asks. */
export const repairOpen =
  (migration: string, key: string, path: Side): StatementBody<boolean> =>
  (on) =>
    on.get(REPAIRS, repairKey(migration, key))?.path === path

export interface CopyOptions {
  /** Source rows FOR NO KEY UPDATE; without it the copy uses what its snapshot saw. */
  readonly lockSource: boolean
  /** Rows that are there already are made equal; without it they are left as they are. */
  readonly overwrite: boolean
  /** Only rows that this transaction or a later one has written. */
  readonly since?: number
}

export interface Copied {
  readonly rows: number
  readonly changed: number
}

/**
 * Copies a range of which `to` has no row in one statement, as `copyChunk` but by plain inserts: fails where a
 * row has come to be there since. Undefined where the statement sees rows there when it begins.
 */
export const fillChunk =
  <Value>(
    from: Table<Value>,
    to: Table<Value>,
    range: KeyRange,
    { lockSource }: Pick<CopyOptions, 'lockSource'>,
  ): StatementBody<Copied | undefined> =>
  async (on) => {
    if (on.scan(to, range).length > 0) return undefined
    let rows = 0
    for (const [key, seen] of on.scan(from, range)) {
      await on.pause()
      const value = lockSource ? await on.lockRow(from, key) : seen
      if (value === undefined) continue
      await on.insert(to, key, value)
      rows++
    }
    return { rows, changed: rows }
  }

/** Copies a range in one statement: each row is locked and written before the next one is looked at. */
export const copyChunk =
  <Value>(
    from: Table<Value>,
    to: Table<Value>,
    range: KeyRange,
    options: CopyOptions,
  ): StatementBody<Copied> =>
  async (on) => {
    let rows = 0
    let changed = 0
    for (const [key, seen] of on.scan(from, range, options.since)) {
      await on.pause()
      const value = options.lockSource ? await on.lockRow(from, key) : seen
      if (value === undefined) continue
      rows++
      const wrote = options.overwrite
        ? (await on.upsert(to, key, value, differs)) !== 'unchanged'
        : await on.insertIfAbsent(to, key, value)
      if (wrote) changed++
    }
    return { rows, changed }
  }

export interface Difference<Value> {
  readonly key: string
  readonly old: Value | undefined
  readonly new: Value | undefined
}

/** Compares a range of both paths in one statement, thus in one snapshot. */
export const compareChunk =
  <Value>(
    old: Table<Value>,
    fresh: Table<Value>,
    range: KeyRange,
  ): StatementBody<readonly Difference<Value>[]> =>
  (on) => {
    const left = new Map(on.scan(old, range))
    const right = new Map(on.scan(fresh, range))
    const keys = [...new Set([...left.keys(), ...right.keys()])].sort()
    return keys
      .map((key) => ({ key, old: left.get(key), new: right.get(key) }))
      .filter((row) => differs(row.old, row.new))
  }

/** Whether `to` has something that `from` does not have, as one snapshot shows it. */
export const hasStray =
  <Value>(from: Table<Value>, to: Table<Value>, range: KeyRange): StatementBody<boolean> =>
  (on) => {
    const kept = new Set(on.scan(from, range).map(([key]) => key))
    return on.scan(to, range).some(([key]) => !kept.has(key))
  }

/** Deletes from `to` what `from` does not have, in one statement; returns the keys that are gone. */
export const sweepChunk =
  <Value>(from: Table<Value>, to: Table<Value>, range: KeyRange): StatementBody<readonly string[]> =>
  async (on) => {
    const kept = new Set(on.scan(from, range).map(([key]) => key))
    const gone: string[] = []
    for (const [key] of on.scan(to, range)) {
      if (kept.has(key)) continue
      await on.pause()
      if (await on.remove(to, key)) gone.push(key)
    }
    return gone
  }

const differs = (a: unknown, b: unknown): boolean => !Object.is(a, b)
