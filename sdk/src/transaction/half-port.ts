import type { Path } from '@switchback/migrations-registry'
import type { TransactionHandle, TransactionPort } from './transaction-port.ts'

/** Whether this path of the key is behind, as far as the database of the other path knows. */
export interface BehindQuestion {
  readonly migration: string
  readonly key: string
  readonly path: Path
}

/** A path that is about to be written in another database. */
export interface Intent {
  readonly migration: string
  readonly key: string
  readonly path: Path
  readonly epoch: number
}

/** Half of a write in independent mode: the transaction in the database of one path. */
export interface HalfHandle<Tx> extends TransactionHandle<Tx> {
  /** The answer to the question of `beginHalf`, given when the lock of the key was held. */
  readonly otherBehind: boolean
  /**
   * Commits with an intent for the other path. Returns the token that the intent is removed by.
   *
   * @throws CommitUnknownError where the connection was lost meanwhile
   */
  commitWithIntent(intent: Intent): Promise<string>
}

/** A target database that holds one of the two paths. */
export interface HalfPort<Tx> extends TransactionPort<Tx> {
  /** What was asked for; undefined is what the database is set to. */
  readonly isolation: string | undefined
  /** Begins a transaction, passes the guard and asks whether the other path is behind, in one message. */
  beginHalf(
    guard: Parameters<TransactionPort<Tx>['begin']>[0],
    other: BehindQuestion,
  ): Promise<HalfHandle<Tx>>
  clearIntent(token: string): Promise<void>
}
