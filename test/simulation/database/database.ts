import type { SimEvent } from '../world/event-queue.ts'
import type { SimProcess } from '../world/process.ts'
import { AdvisoryLocks } from './advisory-locks.ts'
import { DbError } from './db-error.ts'
import { Relation, type Table } from './relation.ts'
import { Serializability } from './serializable.ts'
import { type Isolation, type Snapshot, SubTransaction, Transaction } from './transaction.ts'
import { type Blockers, isDeadlocked, type Waiter } from './waiter.ts'

/** A session inside the database, as the database keeps it. */
export interface SessionState extends Waiter {
  /** The oldest snapshot that it holds. */
  snapshot: Snapshot | undefined
  /** Milliseconds of waiting after which it looks for a deadlock, once. */
  readonly deadlockTimeout: number
}

export interface DatabaseOptions {
  /** Bounds of the time between two rows of one statement, and between being woken and going on, in ms. */
  readonly work: readonly [number, number]
  /** Bounds of `deadlock_timeout`, drawn for each session. */
  readonly deadlockTimeout: readonly [number, number]
}

/** A PostgreSQL: transactions over row versions, row and advisory locks, sequences. */
export class Database {
  readonly process: SimProcess
  readonly options: DatabaseOptions
  readonly locks = new AdvisoryLocks()
  readonly serializability = new Serializability()
  readonly sequences = new Map<string, number>()
  readonly #relations = new Map<string, Relation>()
  readonly #sessions = new Set<SessionState>()
  /** Transactions with an id that are in progress. */
  readonly #active = new Set<Transaction>()
  /** Committed, and perhaps not on disk; in their order. */
  readonly #unflushed: Transaction[] = []
  readonly #onCommit = new Set<(tx: Transaction) => void>()
  /** What `committed` found, as long as nothing has been committed since. */
  readonly #newest = new Map<
    Relation,
    { readonly commits: number; readonly rows: ReadonlyMap<string, unknown> }
  >()
  #commits = 0
  #nextXid = 1
  #nextSession = 1

  constructor(process: SimProcess, options: DatabaseOptions) {
    this.process = process
    this.options = options
  }

  relation<Value>({ name }: Table<Value>): Relation {
    let relation = this.#relations.get(name)
    if (relation === undefined) {
      relation = new Relation(name)
      this.#relations.set(name, relation)
    }
    return relation
  }

  /** What a new snapshot would see of a table; for invariants, outside of all transactions. */
  committed<Value>(of: Table<Value>): ReadonlyMap<string, Value> {
    const relation = this.relation(of)
    const known = this.#newest.get(relation)
    if (known?.commits === this.#commits) return known.rows as ReadonlyMap<string, Value>
    const observer = new Transaction({ id: 0, blockers: undefined }, 'read committed', false)
    const snapshot = this.takeSnapshot()
    const rows = new Map<string, Value>()
    for (const key of relation.keys) {
      const version = relation.visible(key, observer, snapshot)
      if (version !== undefined) rows.set(key, version.value as Value)
    }
    this.#newest.set(relation, { commits: this.#commits, rows })
    return rows
  }

  /** Called right after each commit of a transaction that wrote. */
  onCommit(listener: (tx: Transaction) => void): void {
    this.#onCommit.add(listener)
  }

  nextSession(): { readonly id: number; readonly deadlockTimeout: number } {
    const { random } = this.process.world
    return { id: this.#nextSession++, deadlockTimeout: random.between(...this.options.deadlockTimeout) }
  }

  enlist(session: SessionState): void {
    this.#sessions.add(session)
  }

  /** The session has ended: what it held is let go. */
  dismiss(session: SessionState): void {
    this.#sessions.delete(session)
    this.locks.releaseAll(session)
  }

  takeSnapshot(): Snapshot {
    let xmin = this.#nextXid
    for (const { xid } of this.#active) if (xid !== undefined && xid < xmin) xmin = xid
    return { commit: this.#commits, xmin }
  }

  /** The newest commit that every snapshot in use sees. */
  horizon(): number {
    let oldest = this.#commits
    for (const { snapshot } of this.#sessions) {
      if (snapshot !== undefined && snapshot.commit < oldest) oldest = snapshot.commit
    }
    return oldest
  }

  /** Whether another session holds a snapshot from before transaction `xid` began, or began writing before it. */
  olderSnapshots(than: number, but: SessionState): boolean {
    for (const session of this.#sessions) {
      if (session !== but && session.snapshot !== undefined && session.snapshot.xmin < than) return true
    }
    for (const { backend, xid } of this.#active) {
      if (backend !== but && xid !== undefined && xid < than) return true
    }
    return false
  }

  begin(session: SessionState, isolation: Isolation, explicit: boolean): Transaction {
    return new Transaction(session, isolation, explicit)
  }

  xidOf(tx: Transaction): number {
    if (tx.xid === undefined) {
      tx.xid = this.#nextXid++
      this.#active.add(tx)
    }
    return tx.xid
  }

  /** Atomic and durable. Fails where the transaction cannot be part of any serial order. */
  commit(tx: Transaction): void {
    try {
      this.serializability.precommit(tx)
    } catch (error) {
      this.abort(tx)
      throw error
    }
    tx.status = 'committed'
    tx.commit = tx.xid === undefined ? this.#commits : ++this.#commits
    this.serializability.committed(tx)
    this.#ended(tx)
    if (tx.xid !== undefined) {
      if (tx.waitsForDisk) this.#unflushed.length = 0
      else this.#unflushed.push(tx)
    }
    if (tx.xid !== undefined) for (const listener of this.#onCommit) listener(tx)
  }

  abort(tx: Transaction): void {
    if (!tx.active) return
    tx.status = 'aborted'
    this.serializability.aborted(tx)
    this.#ended(tx)
  }

  /** Undoes what was done since a savepoint, and lets go of what was locked since. */
  abortSince(sub: SubTransaction): void {
    sub.abort()
    this.locks.releaseScope(sub)
    wakeAll(sub.tx)
  }

  /** Goes back to a savepoint, which stays. */
  rollbackTo(tx: Transaction, name: string): void {
    const sub = this.savepoint(tx, name)
    this.abortSince(sub)
    tx.current = new SubTransaction(tx, sub.parent, name)
    tx.failed = false
  }

  savepoint(tx: Transaction, name: string): SubTransaction {
    let sub: SubTransaction | undefined = tx.active ? tx.current : undefined
    while (sub !== undefined && sub.savepoint !== name) sub = sub.parent
    if (sub === undefined) throw new DbError('3B001', `savepoint "${name}" does not exist`)
    return sub
  }

  /** Time passes: between two rows of a statement, or while a process is woken. */
  pause(): Promise<void> {
    const { random } = this.process.world
    return this.process.delay(random.between(...this.options.work))
  }

  /** Lets a session wait until it is woken; fails it where it waits for itself, or for too long. */
  wait(
    session: SessionState,
    blockers: Blockers,
    subscribe: (wake: () => void) => () => void,
    timeoutMs?: number,
  ): Promise<void> {
    const { process } = this
    return new Promise((resolve, reject) => {
      let over = false
      const timers: SimEvent[] = []
      const settle = () => {
        over = true
        session.blockers = undefined
        for (const timer of timers) timer.cancelled = true
      }
      // Throws where waiting would be in vain.
      const unsubscribe = subscribe(() => {
        if (over) return
        settle()
        process.at(process.world.random.between(...this.options.work), resolve)
      })
      const giveUp = (code: string, message: string) => {
        settle()
        unsubscribe()
        reject(new DbError(code, message))
      }
      session.blockers = blockers
      const { deadlockTimeout } = session
      if (deadlockTimeout !== Number.POSITIVE_INFINITY) {
        const look = () => {
          if (isDeadlocked(session)) giveUp('40P01', 'deadlock detected')
        }
        timers.push(process.at(deadlockTimeout, look))
      }
      if (timeoutMs !== undefined) {
        timers.push(process.at(timeoutMs, () => giveUp('55P03', 'canceling statement due to lock timeout')))
      }
    })
  }

  /** Waits until `holder`, or a part of it, has ended. */
  waitFor(session: SessionState, holder: Transaction): Promise<void> {
    return this.wait(
      session,
      (visit) => visit(holder.backend),
      (wake) => {
        holder.waiters.push(wake)
        return () => {
          holder.waiters = holder.waiters.filter((other) => other !== wake)
        }
      },
    )
  }

  /**
   * kill -9 of the whole server: committed rows and sequences stay, everything else is gone; so may be the last
   * of the commits that have not waited for the disk.
   */
  crash(): void {
    this.process.crash()
    if (this.#unflushed.length > 0) {
      const kept = this.process.world.random.below(this.#unflushed.length + 1)
      for (const tx of this.#unflushed.splice(0).slice(kept)) tx.status = 'aborted'
      this.#newest.clear()
    }
    for (const tx of this.#active) tx.status = 'aborted'
    this.#active.clear()
    this.#sessions.clear()
    this.locks.clear()
    this.serializability.clear()
  }

  restart(): void {
    this.process.restart(() => {})
  }

  #ended(tx: Transaction): void {
    this.#active.delete(tx)
    for (let sub: SubTransaction | undefined = tx.current; sub !== undefined; sub = sub.parent) {
      if (sub.parent === undefined) this.locks.releaseScope(sub)
    }
    wakeAll(tx)
  }
}

/** Waiters look again for themselves: what they wait for may still be held. */
function wakeAll(tx: Transaction): void {
  const waiters = tx.waiters
  tx.waiters = []
  for (const wake of waiters) wake()
}
