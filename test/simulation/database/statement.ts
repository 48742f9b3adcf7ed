import type { LockMode, Request } from './advisory-locks.ts'
import type { Database, SessionState } from './database.ts'
import { DbError, serializationFailure } from './db-error.ts'
import type { KeyRange, Relation, Table, Version } from './relation.ts'
import { holderOf, inRange, lockVersion } from './relation.ts'
import type { Snapshot, Transaction } from './transaction.ts'
import { sees } from './transaction.ts'

export type Upserted = 'inserted' | 'updated' | 'unchanged'

/** One statement at work inside the database. What it reads is fixed by its snapshot; what it writes is the newest. */
export class Statement {
  readonly db: Database
  readonly session: SessionState
  readonly tx: Transaction
  #snapshot: Snapshot

  constructor(db: Database, session: SessionState, tx: Transaction) {
    this.db = db
    this.session = session
    this.tx = tx
    if (tx.isolation === 'read committed') {
      this.#snapshot = db.takeSnapshot()
      session.snapshot = this.#snapshot
    } else if (tx.snapshot === undefined) {
      this.#snapshot = db.takeSnapshot()
      tx.snapshot = this.#snapshot
      session.snapshot = this.#snapshot
      if (tx.isolation === 'serializable') db.serializability.begin(tx)
    } else {
      this.#snapshot = tx.snapshot
    }
  }

  /** A further statement inside a volatile function: it sees what was committed meanwhile. */
  renewSnapshot(): void {
    if (this.tx.isolation === 'read committed') this.#snapshot = this.db.takeSnapshot()
  }

  pause(): Promise<void> {
    return this.db.pause()
  }

  get<Value>(of: Table<Value>, key: string): Value | undefined {
    const relation = this.db.relation(of)
    if (this.tx.isolation === 'serializable') {
      this.db.serializability.read(this.tx, relation.name, key)
      this.#observe(relation, key)
    }
    return relation.visible(key, this.tx, this.#snapshot)?.value as Value | undefined
  }

  /** @param since only rows whose version is of this transaction or a later one (`xmin`) */
  scan<Value>(of: Table<Value>, range: KeyRange = {}, since = 0): (readonly [key: string, value: Value])[] {
    const relation = this.db.relation(of)
    const serializable = this.tx.isolation === 'serializable'
    if (serializable) this.db.serializability.read(this.tx, relation.name, range)
    const rows: (readonly [string, Value])[] = []
    for (const key of relation.keys) {
      if (!inRange(range, key)) continue
      if (serializable) this.#observe(relation, key)
      for (const version of relation.allVisible(key, this.tx, this.#snapshot)) {
        if ((version.by.tx.xid ?? 0) >= since) rows.push([key, version.value as Value])
      }
    }
    return rows
  }

  /** `select … where key = … for no key update`: the newest value, or undefined where the row is gone. */
  async lockRow<Value>(of: Table<Value>, key: string): Promise<Value | undefined> {
    const claimed = await this.#claim(of, key)
    if (claimed === undefined) return undefined
    lockVersion(claimed, this.tx.current)
    return claimed.value as Value
  }

  /** `update … where key = … and …`: false where no row was changed. */
  async update<Value>(
    of: Table<Value>,
    key: string,
    change: (value: Value) => Value,
    where: (value: Value) => boolean = () => true,
  ): Promise<boolean> {
    const claimed = await this.#claim(of, key, where)
    if (claimed === undefined) return false
    this.#beforeWrite(of.name, key)
    this.#supersede(of, claimed, change(claimed.value as Value))
    return true
  }

  /** `delete … where key = … and …`. */
  async remove<Value>(
    of: Table<Value>,
    key: string,
    where: (value: Value) => boolean = () => true,
  ): Promise<boolean> {
    const claimed = await this.#claim(of, key, where)
    if (claimed === undefined) return false
    this.#beforeWrite(of.name, key)
    claimed.endedBy = this.tx.current
    claimed.next = undefined
    return true
  }

  async insert<Value>(of: Table<Value>, key: string, value: Value): Promise<void> {
    this.db.xidOf(this.tx)
    const existing = await this.#conflicting(of, key)
    this.#beforeWrite(of.name, key)
    if (existing !== undefined) throw new DbError('23505', `duplicate key in "${of.name}": ${key}`)
    this.db.relation(of).add(key, value, this.tx.current, this.db.horizon())
  }

  /** `insert … on conflict do nothing`. */
  async insertIfAbsent<Value>(of: Table<Value>, key: string, value: Value): Promise<boolean> {
    this.db.xidOf(this.tx)
    const existing = await this.#conflicting(of, key)
    if (existing !== undefined) {
      this.#checkSeen(existing)
      return false
    }
    this.#beforeWrite(of.name, key)
    this.db.relation(of).add(key, value, this.tx.current, this.db.horizon())
    return true
  }

  /** `insert … on conflict (key) do update set … where …`: updates the newest row, seen or not. */
  async upsert<Value>(
    of: Table<Value>,
    key: string,
    value: Value,
    where: (existing: Value, proposed: Value) => boolean = () => true,
  ): Promise<Upserted> {
    this.db.xidOf(this.tx)
    for (;;) {
      const existing = await this.#conflicting(of, key)
      if (existing === undefined) {
        this.#beforeWrite(of.name, key)
        this.db.relation(of).add(key, value, this.tx.current, this.db.horizon())
        return 'inserted'
      }
      for (let holder = holderOf(existing, this.tx); holder !== undefined; ) {
        await this.db.waitFor(this.session, holder)
        holder = holderOf(existing, this.tx)
      }
      if (existing.endedBy !== undefined && !existing.endedBy.aborted) {
        if (this.tx.isolation !== 'read committed') throw serializationFailure('concurrent update')
        continue
      }
      this.#checkSeen(existing)
      if (!where(existing.value as Value, value)) {
        lockVersion(existing, this.tx.current)
        return 'unchanged'
      }
      this.#beforeWrite(of.name, key)
      this.#supersede(of, existing, value)
      return 'updated'
    }
  }

  /** Takes an advisory lock; of the transaction unless `of: 'session'`. */
  async lock(
    key: string,
    mode: LockMode,
    options: { of?: 'session'; timeoutMs?: number } = {},
  ): Promise<void> {
    if (this.tryLock(key, mode, options)) return
    const { locks } = this.db
    const scope = options.of === 'session' ? undefined : this.tx.current
    let request: Request | undefined
    await this.db.wait(
      this.session,
      (visit) => {
        if (request !== undefined) locks.blockers(key, request, visit)
      },
      (granted) => {
        request = { backend: this.session, mode, scope, granted }
        return locks.enqueue(key, request)
      },
      options.timeoutMs,
    )
  }

  tryLock(key: string, mode: LockMode, options: { of?: 'session' } = {}): boolean {
    const scope = options.of === 'session' ? undefined : this.tx.current
    return this.db.locks.tryLock(key, mode, this.session, scope)
  }

  /** Releases a lock of the session. */
  unlock(key: string, mode: LockMode): boolean {
    return this.db.locks.unlock(key, mode, this.session)
  }

  /** Sequences are outside of snapshots and transactions. */
  sequence(name: string): number {
    return this.db.sequences.get(name) ?? 0
  }

  setSequence(name: string, value: number): void {
    this.db.sequences.set(name, value)
  }

  /** The row to be changed: waits for who holds it; then as the isolation level demands. */
  async #claim<Value>(
    of: Table<Value>,
    key: string,
    where: (value: Value) => boolean = () => true,
  ): Promise<Version | undefined> {
    const { tx } = this
    const relation = this.db.relation(of)
    if (tx.isolation === 'serializable') {
      this.db.serializability.read(tx, relation.name, key)
      this.#observe(relation, key)
    }
    let claimed: Version | undefined
    for (const version of relation.allVisible(key, tx, this.#snapshot)) {
      if (!where(version.value as Value)) continue
      this.db.xidOf(tx)
      const newest = await this.#claimVersion(version)
      // READ COMMITTED asks the newest version again whether it is wanted.
      if (newest === version || (newest !== undefined && where(newest.value as Value))) claimed = newest
    }
    return claimed
  }

  async #claimVersion(seen: Version): Promise<Version | undefined> {
    const { tx } = this
    let version = seen
    for (;;) {
      const holder = holderOf(version, tx)
      if (holder !== undefined) {
        await this.db.waitFor(this.session, holder)
        continue
      }
      const { endedBy, next } = version
      if (endedBy === undefined || endedBy.aborted) return version
      // Changed by this statement already.
      if (endedBy.tx === tx) return undefined
      if (tx.isolation !== 'read committed') throw serializationFailure('concurrent update')
      if (next === undefined) return undefined
      version = next
    }
  }

  /** A live row with this key, seen or not; waits for transactions that may make or remove one. */
  async #conflicting<Value>(of: Table<Value>, key: string): Promise<Version | undefined> {
    const { tx } = this
    const relation = this.db.relation(of)
    for (;;) {
      let live: Version | undefined
      let wait: Transaction | undefined
      for (const version of relation.versions(key)) {
        const { by, endedBy } = version
        if (by.aborted) continue
        if (by.tx.active && by.tx !== tx) wait = by.tx
        else if (endedBy === undefined || endedBy.aborted) live = version
        else if (endedBy.tx.active && endedBy.tx !== tx) wait = endedBy.tx
        if (wait !== undefined) break
      }
      if (wait === undefined) return live
      await this.db.waitFor(this.session, wait)
    }
  }

  /** At REPEATABLE READ and above nothing may rest on a row that the snapshot does not see. */
  #checkSeen(existing: Version): void {
    if (this.tx.isolation === 'read committed') return
    if (!sees(this.tx, this.#snapshot, existing.by)) throw serializationFailure('concurrent update')
  }

  #supersede<Value>(of: Table<Value>, version: Version, value: Value): void {
    const by = this.tx.current
    const next = this.db.relation(of).add(version.key, value, by, this.db.horizon())
    version.endedBy = by
    version.next = next
  }

  #beforeWrite(relation: string, key: string): void {
    if (this.tx.isolation === 'serializable') this.db.serializability.write(this.tx, relation, key)
  }

  /** Tells of every writer whose work on this key the snapshot does not see. */
  #observe(relation: Relation, key: string): void {
    const { tx } = this
    for (const { by, endedBy } of relation.versions(key)) {
      if (!by.aborted && !sees(tx, this.#snapshot, by)) this.db.serializability.missed(tx, by.tx)
      if (endedBy !== undefined && !endedBy.aborted && !sees(tx, this.#snapshot, endedBy)) {
        this.db.serializability.missed(tx, endedBy.tx)
      }
    }
  }
}
