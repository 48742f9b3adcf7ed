import type { Database, SessionState } from './database.ts'
import { DbError } from './db-error.ts'
import { Statement } from './statement.ts'
import { type Isolation, type Snapshot, SubTransaction, type Transaction } from './transaction.ts'

/** What a statement does inside the database. */
export type StatementBody<Result> = (statement: Statement) => Result | Promise<Result>

/** The server side of one connection: takes one message after the other. */
export class Backend implements SessionState {
  readonly id: number
  readonly deadlockTimeout: number
  blockers: SessionState['blockers']
  snapshot: Snapshot | undefined
  readonly #db: Database
  #tx: Transaction | undefined
  /** Ends when everything that has arrived so far is done. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(db: Database, deadlockTimeout?: number) {
    const given = db.nextSession()
    this.id = given.id
    this.deadlockTimeout = deadlockTimeout ?? given.deadlockTimeout
    this.#db = db
    db.enlist(this)
  }

  /** Does one thing after everything that arrived before. */
  take<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const done = this.#last.then(work)
    this.#last = done.catch((error: unknown) => {
      if (!(error instanceof DbError)) this.#db.process.world.fail(error)
    })
    return done
  }

  begin(isolation: Isolation): void {
    if (this.#tx === undefined) this.#tx = this.#db.begin(this, isolation, true)
  }

  async run<Result>(body: StatementBody<Result>): Promise<Result> {
    const tx = this.#tx ?? this.#db.begin(this, 'read committed', false)
    this.#tx = tx
    if (tx.failed) throw aborted()
    try {
      const result = await body(new Statement(this.#db, this, tx))
      if (tx.isolation === 'read committed') this.snapshot = undefined
      if (!tx.explicit) this.commit()
      return result
    } catch (error) {
      this.#fail(tx)
      throw error
    }
  }

  savepoint(name: string): void {
    this.#control((tx) => {
      if (tx.failed) throw aborted()
      tx.current = new SubTransaction(tx, tx.current, name)
    })
  }

  release(name: string): void {
    this.#control((tx) => {
      if (tx.failed) throw aborted()
      const { parent } = this.#db.savepoint(tx, name)
      if (parent !== undefined) tx.current = parent
    })
  }

  rollbackTo(name: string): void {
    this.#control((tx) => this.#db.rollbackTo(tx, name))
  }

  /** Says what became of it: a transaction in which a statement failed is rolled back, without an error. */
  commit(): 'committed' | 'rolled back' {
    const tx = this.#tx
    if (tx === undefined) return 'committed'
    this.#leave()
    if (tx.failed) {
      this.#db.abort(tx)
      return 'rolled back'
    }
    this.#db.commit(tx)
    return 'committed'
  }

  rollback(): void {
    const tx = this.#tx
    this.#leave()
    if (tx !== undefined) this.#db.abort(tx)
  }

  /** The client is gone. */
  end(): void {
    this.rollback()
    this.#db.dismiss(this)
  }

  /** A failed statement takes its transaction along, or the part since the last savepoint, and at once. */
  #fail(tx: Transaction): void {
    tx.failed = true
    if (tx.isolation === 'read committed') this.snapshot = undefined
    if (tx.active && tx.current.savepoint !== undefined) this.#db.abortSince(tx.current)
    else {
      this.snapshot = undefined
      this.#db.abort(tx)
    }
    if (!tx.explicit) this.#leave()
  }

  #control(work: (tx: Transaction) => void): void {
    const tx = this.#tx
    if (tx === undefined) throw new DbError('25P01', 'there is no transaction in progress')
    try {
      work(tx)
    } catch (error) {
      if (!tx.failed) this.#fail(tx)
      throw error
    }
  }

  #leave(): void {
    this.#tx = undefined
    this.snapshot = undefined
  }
}

const aborted = (): DbError =>
  new DbError('25P02', 'current transaction is aborted, commands ignored until end of transaction block')
