import type { Channel, Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'
import type { LockMode } from './advisory-locks.ts'
import { Backend, type StatementBody } from './backend.ts'
import type { Database } from './database.ts'
import { connectionLost } from './db-error.ts'
import type { KeyRange, Table } from './relation.ts'
import type { Upserted } from './statement.ts'
import type { Isolation } from './transaction.ts'

type Label = () => string

/** A client's connection to the database: every operation is a message there, work there, and a message back. */
export class Session {
  readonly #channel: Channel
  readonly #backend: Backend
  readonly #pending = new Set<(error: Error) => void>()
  readonly #onLost = new Set<() => void>()
  #lost = false

  constructor(network: Network, client: SimProcess, db: Database, deadlockTimeout?: number) {
    this.#backend = new Backend(db, deadlockTimeout)
    this.#channel = network.open(client, db.process)
    this.#channel.onServerClosed = () => {
      // What has arrived is still done; a statement that waits for a lock does not notice before it has it.
      this.#backend.take(() => this.#backend.end()).catch(() => undefined)
    }
    this.#channel.onClientClosed = () => {
      this.#lost = true
      for (const reject of [...this.#pending]) reject(connectionLost())
      for (const listener of this.#onLost) listener()
    }
  }

  get lost(): boolean {
    return this.#lost
  }

  /** Told when the connection has broken. */
  onLost(listener: () => void): () => void {
    this.#onLost.add(listener)
    return () => this.#onLost.delete(listener)
  }

  /**
   * Begins a transaction. `guard` is a statement that travels in the same message; where it fails, the
   * transaction stays open and failed.
   */
  begin(
    isolation: Isolation,
    guard?: { readonly label: string; readonly body: StatementBody<void> },
  ): Promise<void> {
    return this.#call(
      () => `begin ${isolation}${guard === undefined ? '' : `; ${guard.label}`}`,
      () => {
        this.#backend.begin(isolation)
        return guard === undefined ? undefined : this.#backend.run(guard.body)
      },
    )
  }

  /** One statement, in the open transaction or in one of its own. */
  statement<Result>(label: Label, body: StatementBody<Result>): Promise<Result> {
    return this.#call(label, () => this.#backend.run(body))
  }

  get<Value>(of: Table<Value>, key: string): Promise<Value | undefined> {
    return this.statement(
      () => `get ${of.name} ${key}`,
      (on) => on.get(of, key),
    )
  }

  scan<Value>(of: Table<Value>, range?: KeyRange): Promise<(readonly [key: string, value: Value])[]> {
    return this.statement(
      () => `scan ${of.name}`,
      (on) => on.scan(of, range),
    )
  }

  lockRow<Value>(of: Table<Value>, key: string): Promise<Value | undefined> {
    return this.statement(
      () => `lock ${of.name} ${key}`,
      (on) => on.lockRow(of, key),
    )
  }

  insert<Value>(of: Table<Value>, key: string, value: Value): Promise<void> {
    return this.statement(
      () => `insert ${of.name} ${key} = ${String(value)}`,
      (on) => on.insert(of, key, value),
    )
  }

  insertIfAbsent<Value>(of: Table<Value>, key: string, value: Value): Promise<boolean> {
    return this.statement(
      () => `insert if absent ${of.name} ${key} = ${String(value)}`,
      (on) => on.insertIfAbsent(of, key, value),
    )
  }

  upsert<Value>(
    of: Table<Value>,
    key: string,
    value: Value,
    where?: (existing: Value, proposed: Value) => boolean,
  ): Promise<Upserted> {
    return this.statement(
      () => `upsert ${of.name} ${key} = ${String(value)}`,
      (on) => on.upsert(of, key, value, where),
    )
  }

  update<Value>(
    of: Table<Value>,
    key: string,
    change: (value: Value) => Value,
    where?: (value: Value) => boolean,
  ): Promise<boolean> {
    return this.statement(
      () => `update ${of.name} ${key}`,
      (on) => on.update(of, key, change, where),
    )
  }

  remove<Value>(of: Table<Value>, key: string, where?: (value: Value) => boolean): Promise<boolean> {
    return this.statement(
      () => `delete ${of.name} ${key}`,
      (on) => on.remove(of, key, where),
    )
  }

  savepoint(name: string): Promise<void> {
    return this.#call(
      () => `savepoint ${name}`,
      () => this.#backend.savepoint(name),
    )
  }

  rollbackTo(name: string): Promise<void> {
    return this.#call(
      () => `rollback to ${name}`,
      () => this.#backend.rollbackTo(name),
    )
  }

  release(name: string): Promise<void> {
    return this.#call(
      () => `release ${name}`,
      () => this.#backend.release(name),
    )
  }

  commit(): Promise<'committed' | 'rolled back'> {
    return this.#call(
      () => 'commit',
      () => this.#backend.commit(),
    )
  }

  rollback(): Promise<void> {
    return this.#call(
      () => 'rollback',
      () => this.#backend.rollback(),
    )
  }

  lock(key: string, mode: LockMode, options?: { of?: 'session'; timeoutMs?: number }): Promise<void> {
    return this.statement(
      () => `advisory ${mode} ${key}`,
      (on) => on.lock(key, mode, options),
    )
  }

  tryLock(key: string, mode: LockMode, options?: { of?: 'session' }): Promise<boolean> {
    return this.statement(
      () => `try advisory ${mode} ${key}`,
      (on) => on.tryLock(key, mode, options),
    )
  }

  unlock(key: string, mode: LockMode): Promise<boolean> {
    return this.statement(
      () => `unlock ${mode} ${key}`,
      (on) => on.unlock(key, mode),
    )
  }

  /** Id of the transaction, assigned now if it has none: nothing committed so far has a higher one. */
  xid(): Promise<number> {
    return this.statement(
      () => 'current xid',
      (on) => on.db.xidOf(on.tx),
    )
  }

  /** Whether another session still holds a snapshot from before `xid`. */
  olderSnapshots(xid: number): Promise<boolean> {
    return this.statement(
      () => `snapshots older than ${xid}`,
      (on) => on.db.olderSnapshots(xid, on.session),
    )
  }

  close(): void {
    this.#lost = true
    this.#channel.close()
  }

  #call<Result>(label: Label, work: () => Result | Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#lost) return reject(connectionLost())
      this.#pending.add(reject)
      const answer = (what: Label, settle: () => void) =>
        this.#channel.toClient(what, () => {
          this.#pending.delete(reject)
          settle()
        })
      this.#channel.toServer(label, () => {
        this.#backend.take(work).then(
          (result) =>
            answer(
              () => `${label()} → ${show(result)}`,
              () => resolve(result),
            ),
          (error: Error) =>
            answer(
              () => `${label()} → ${error.message}`,
              () => reject(error),
            ),
        )
      })
    })
  }
}

const show = (result: unknown): string => (result === undefined ? 'ok' : JSON.stringify(result))
