import type { Path } from '@switchback/migrations-registry'

/** What a routed write asks of the target when it begins. */
export type Guard =
  /** Through the fence: refused when the epoch has passed. Takes the lock of the key as well. */
  | { readonly kind: 'fence'; readonly migration: string; readonly epoch: number; readonly key: string }
  /** The lock of the key alone. */
  | { readonly kind: 'lock'; readonly migration: string; readonly key: string }
  | { readonly kind: 'none' }

/** What the router tells apart about a failure of the target. */
export type TargetFailure =
  /** The fence refused the epoch. */
  | 'stale-epoch'
  /** The other path of the key waits for repair already: neither could be copied from. */
  | 'repair-conflict'
  /** Serialization failure or deadlock: the same transaction may succeed when begun again. */
  | 'serialization'
  /** The target has no fence for this migration. */
  | 'no-fence'
  /** The connection is gone, and the transaction with it. */
  | 'connection'
  | 'other'

/** A key of which one path is behind. */
export interface Repair {
  readonly migration: string
  readonly key: string
  readonly path: Path
  readonly epoch: number
  readonly reason: string
}

/** One open transaction. After `commit` or `rollback` nothing may be asked of it. */
export interface TransactionHandle<Tx> {
  /** What handlers run their statements on. */
  readonly tx: Tx
  /** Passes a further guard, and sets the savepoint after it if asked to, in one message. */
  enter(guard: Guard, savepoint: boolean): Promise<void>
  savepoint(): Promise<void>
  /** Undoes everything since the last savepoint. */
  rollbackToSavepoint(): Promise<void>
  queueRepair(repair: Repair): Promise<void>
  repairOpen(migration: string, key: string, path: Path): Promise<boolean>
  /** @throws CommitUnknownError where the connection was lost meanwhile */
  commit(): Promise<void>
  /** Ends the transaction without a trace. Never throws; does nothing after `commit`. */
  rollback(): Promise<void>
}

/**
 * A target database, as the router sees it. The orchestration of dual operations talks to this port alone,
 * so that the simulation can run it over a database of its own.
 */
export interface TransactionPort<Tx> {
  /** For statements outside of a transaction: reads. */
  readonly reader: Tx
  /** How often a transaction is begun again after a serialization failure or a deadlock. */
  readonly retries: number
  /** Begins a transaction and passes the guard, in one message; with a savepoint after it if asked to. */
  begin(guard: Guard, savepoint: boolean): Promise<TransactionHandle<Tx>>
  /** Begins a transaction that only reads, and sees one state of the database throughout. */
  snapshot(): Promise<TransactionHandle<Tx>>
  repairOpen(migration: string, key: string, path: Path): Promise<boolean>
  failureOf(error: unknown): TargetFailure
}
