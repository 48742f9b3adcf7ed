import type { MigrationState, Path, Routing } from '@switchback/migrations-registry'
import { servedPaths, writtenPaths } from '@switchback/migrations-registry'
import type { Database } from '../database/database.ts'
import { minimumSequence, REPAIRS, repairKey } from '../database/target.ts'
import type { Transaction } from '../database/transaction.ts'
import type { StoreContent } from '../protocol/store-content.ts'
import { MIGRATION, TABLES } from '../protocol/tables.ts'
import { COPIED, checkData, claimsOfReaders, claimsOfState } from './data.ts'
import { Epochs } from './epochs.ts'
import { History } from './history.ts'
import { InFlight } from './in-flight.ts'
import {
  nameOf,
  type ReadOp,
  type SentWrite,
  type Speaker,
  type User,
  type Value,
  type WriteOp,
} from './operations.ts'
import { Violation } from './violation.ts'

/** What has happened, and whether the invariants hold. */
export class Checker {
  readonly #db: Database
  readonly #note: (what: () => string) => void
  readonly #epochs = new Epochs()
  readonly #history = new History()
  readonly #inFlight: InFlight
  readonly #writes = new Map<Transaction, WriteOp[]>()
  /** Set by the end of a backfill: from then on new is what old is, until somebody stops writing it. */
  #copied = false
  /** The newest work that relies on everyone. */
  #worked = { kind: 'nothing', epoch: 0 }
  #state: MigrationState | undefined
  /** Whether what the state says is of the present. */
  #claims = true
  #dirty = true

  constructor(db: Database, note: (what: () => string) => void) {
    this.#db = db
    this.#note = note
    this.#inFlight = new InFlight(this.#epochs, () => db.sequences.get(minimumSequence(MIGRATION)) ?? 0)
    db.onCommit((tx) => this.#committed(tx))
  }

  watch(apps: readonly Speaker[]): void {
    this.#inFlight.apps.push(...apps)
  }

  /** Something is different: the invariants are looked at after this step. */
  touch(): void {
    this.#dirty = true
  }

  preload(key: string, value: Value): void {
    this.#history.preload(key, value)
  }

  /** The store has committed something. */
  stored(before: StoreContent, after: StoreContent): void {
    const from = before.migrations.get(MIGRATION)
    const to = after.migrations.get(MIGRATION)
    if (to === undefined || from === to) return
    this.#entering(from?.state, to.state)
  }

  /** What a restored store says is of the past, until it has been compared with the target. */
  restored(): void {
    this.#claims = false
    this.#copied = false
  }

  #entering(from: MigrationState | undefined, to: MigrationState): void {
    this.#dirty = true
    // A restored store may be told to pause before it has been compared; its state is no newer for that.
    if (!this.#claims && to.epoch === from?.epoch) return
    this.#state = to
    this.#claims = true
    if (from === undefined || to.epoch !== from.epoch) {
      this.#epochs.enter(from, to)
      const routing = this.#epochs.routing(to.epoch)
      this.#note(() => `epoch ${to.epoch}: ${to.phase} ${JSON.stringify(routing)}`)
      if (to.phase === 'backfill' || routing === undefined || writtenPaths(routing).length < 2) {
        this.#copied = false
      }
    }
    if (to.phase === 'backfill' && to.work?.status === 'done' && from?.work?.status !== 'done') {
      this.#copied = true
    }
  }

  /** I6: called when a process has applied an epoch. */
  applied(app: Speaker, before: number): void {
    this.#dirty = true
    if (app.applied < before) {
      throw new Violation('I6', `${app.name} applies epoch ${app.applied} after ${before}`)
    }
  }

  sent(token: SentWrite): void {
    this.#dirty = true
    this.#inFlight.sent(token)
  }

  over(token: SentWrite): void {
    this.#inFlight.over(token)
  }

  /**
   * I3: who comes after work has begun is not of an older epoch. What a dead process had sent off may still get
   * its lock, and then finds that nobody is there: nothing comes after it.
   */
  letIn(tx: Transaction, app: string, epoch: number): void {
    this.#dirty = true
    if (epoch < this.#worked.epoch && this.#inFlight.isAwaited(app, epoch)) {
      const { kind, epoch: later } = this.#worked
      throw new Violation('I3', `${app} is let in under epoch ${epoch} after ${kind} of epoch ${later} began`)
    }
    this.#inFlight.letIn(tx, app, epoch)
  }

  writes(tx: Transaction, op: WriteOp): void {
    const ops = this.#writes.get(tx)
    if (ops === undefined) this.#writes.set(tx, [op])
    else if (!ops.includes(op)) ops.push(op)
  }

  beginRead(app: Speaker, key: string): ReadOp {
    this.#dirty = true
    const read = { app, key, epoch: app.applied, from: this.#history.floor(key) }
    this.#inFlight.readBegins(read)
    return read
  }

  /** I4: what is served is not older than what was acknowledged before the read began. */
  served(read: ReadOp, value: Value): void {
    this.#inFlight.readEnded(read)
    this.#history.served(read, value)
  }

  /** A process hears of the server, from which it may have its lease again. */
  hears(app: Speaker): void {
    if (app.halted) this.#inFlight.giveUpReads(app)
  }

  /** The read has failed. */
  readEnded(read: ReadOp): void {
    this.#inFlight.readEnded(read)
  }

  /** Epoch of the oldest read that is in flight in a process. */
  oldestRead(app: Speaker): number | undefined {
    return this.#inFlight.oldestRead(app)
  }

  /** I2: what is acknowledged has been committed. */
  acknowledged(op: WriteOp): void {
    this.#history.acknowledged(op)
  }

  /** The target was killed: nothing that was open there can still commit. */
  targetCrashed(): void {
    this.#inFlight.targetCrashed()
  }

  /** The process is gone, and what it had in flight with it. */
  gone(app: Speaker): void {
    this.#inFlight.gone(app)
  }

  /** I3: nothing of an older epoch is in flight, or can still come. */
  workStarts(kind: string, epoch: number): void {
    if (epoch > this.#worked.epoch) this.#worked = { kind, epoch }
    for (const user of this.#inFlight.writers()) {
      if (user.epoch >= epoch) continue
      throw new Violation(
        'I3',
        `${kind} of epoch ${epoch} begins while ${nameOf(user)} may write under epoch ${user.epoch}`,
      )
    }
  }

  /** I7, as far as data is concerned: nobody is left who uses old when it is dropped. */
  oldIsDropped(): void {
    const uses = (users: readonly User[], paths: (routing: Routing) => readonly Path[]) => {
      for (const user of users) {
        const routing = this.#epochs.routing(user.epoch)
        if (routing === undefined || !paths(routing).includes('old')) continue
        throw new Violation('I7', `old is dropped while ${nameOf(user)} uses it under epoch ${user.epoch}`)
      }
    }
    uses(this.#inFlight.readers(), servedPaths)
    uses(this.#inFlight.writers(), writtenPaths)
  }

  /** Whether a transaction of this process is open in the target. */
  hasOpen(app: string): boolean {
    return this.#inFlight.hasOpen(app)
  }

  /** Whether writes of an epoch go through the fence. */
  fenced(epoch: number): boolean {
    return this.#epochs.fenced(epoch)
  }

  /** Called after every step. */
  check(): void {
    if (!this.#dirty) return
    this.#dirty = false
    this.#inFlight.forgetEnded()
    const readers = this.#inFlight.readers()
    this.#checkCompatible(readers)
    const claims = claimsOfReaders(readers, this.#epochs)
    if (this.#claims) claimsOfState(claims, this.#state)
    if (this.#copied) claims.set('copied', COPIED)
    checkData(this.#db, this.#history, claims)
  }

  /** I1: a path that is served to one is written by everyone. */
  #checkCompatible(readers: readonly User[]): void {
    const writers = this.#inFlight.writers()
    for (const reader of readers) {
      for (const writer of writers) {
        if (this.#epochs.mayCoexist(reader.epoch, writer.epoch)) continue
        throw new Violation(
          'I1',
          `${nameOf(reader)} may be served under epoch ${reader.epoch} from a path that ${nameOf(writer)} does not write under epoch ${writer.epoch}`,
        )
      }
    }
  }

  #committed(tx: Transaction): void {
    this.#dirty = true
    const ops = this.#writes.get(tx)
    this.#writes.delete(tx)
    for (const op of ops ?? []) {
      const value = op.kind === 'put' ? op.value : this.#left(op.key)
      if (!this.#history.committed(op, value)) continue
      this.#note(() => `commits ${op.app} ${op.kind} ${op.key} = ${value}`)
    }
  }

  /** What was left in the path that leads: there may have been no row, or a snapshot kept one from being seen. */
  #left(key: string): Value {
    const complete = this.#state?.complete
    const queued = this.#db.committed(REPAIRS).get(repairKey(MIGRATION, key))?.path === 'old'
    const path = complete?.old === false || queued ? 'new' : 'old'
    return this.#db.committed(TABLES[path]).get(key)
  }
}
