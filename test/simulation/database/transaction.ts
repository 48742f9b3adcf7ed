import type { Waiter } from './waiter.ts'

export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

/** What a statement, or a whole transaction, sees: every commit up to a number. */
export interface Snapshot {
  readonly commit: number
  /** Oldest transaction id that was in progress (`backend_xmin`). */
  readonly xmin: number
}

/** A transaction or a part of it since a savepoint; what it did is undone alone. */
export class SubTransaction {
  readonly tx: Transaction
  readonly parent: SubTransaction | undefined
  readonly savepoint: string | undefined
  #aborted = false

  constructor(tx: Transaction, parent?: SubTransaction, savepoint?: string) {
    this.tx = tx
    this.parent = parent
    this.savepoint = savepoint
  }

  abort(): void {
    this.#aborted = true
  }

  get aborted(): boolean {
    return this.#aborted || this.tx.status === 'aborted' || (this.parent?.aborted ?? false)
  }

  within(other: SubTransaction): boolean {
    return this === other || (this.parent?.within(other) ?? false)
  }
}

export class Transaction {
  readonly backend: Waiter
  readonly isolation: Isolation
  /** Begun by `begin`, not by a statement alone. */
  readonly explicit: boolean
  status: 'active' | 'committed' | 'aborted' = 'active'
  /** Position among the commits. */
  commit = 0
  /** Assigned with the first write. */
  xid: number | undefined
  /** Of the transaction at REPEATABLE READ and above. */
  snapshot: Snapshot | undefined
  current: SubTransaction
  /** Off: its commit may be taken back by a crash, as long as no later one has waited for the disk. */
  waitsForDisk = true
  /** A statement failed: nothing but a way out is accepted. */
  failed = false
  /** Who waits for this transaction, or for a part of it, to end. */
  waiters: (() => void)[] = []

  constructor(backend: Waiter, isolation: Isolation, explicit: boolean) {
    this.backend = backend
    this.isolation = isolation
    this.explicit = explicit
    this.current = new SubTransaction(this)
  }

  get active(): boolean {
    return this.status === 'active'
  }
}

/** Whether the work of `sub` is part of what `tx` sees with `snapshot`. */
export function sees(tx: Transaction, snapshot: Snapshot, sub: SubTransaction): boolean {
  const by = sub.tx
  if (by === tx) return !sub.aborted
  return by.status === 'committed' && by.commit <= snapshot.commit && !sub.aborted
}
