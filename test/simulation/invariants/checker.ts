import type { MigrationState, Path, Routing } from '@switchback/migrations-registry'
import { readsAreWritten, servedPaths, writtenPaths } from '@switchback/migrations-registry'
import type { Database } from '../database/database.ts'
import { minimumSequence, REPAIRS, repairKey } from '../database/target.ts'
import type { Transaction } from '../database/transaction.ts'
import type { StoreContent } from './store-content.ts'
import { MIGRATION, TABLES } from './tables.ts'
import { Violation } from './violation.ts'

export type Value = string | undefined

/** One routed write of the application. Its value is given once only. */
export interface WriteOp {
  readonly app: string
  readonly key: string
  readonly kind: 'put' | 'remove'
  readonly value: Value
}

export interface ReadOp {
  readonly app: Speaker
  readonly key: string
  readonly epoch: number
  /** Position in the history of the key below which the answer may not lie. */
  readonly from: number
}

/** One process of the application, as far as the invariants are concerned. */
export interface Speaker {
  readonly name: string
  /** It is there, and was told what to do. */
  readonly atWork: boolean
  /** Epoch under which its next operation begins. */
  readonly applied: number
  readonly fenced: boolean
  /** Its lease is over and it is set to stop then. */
  readonly halted: boolean
}

/** A write that has been sent off and may be let in. */
export interface SentWrite {
  readonly app: Speaker
  readonly epoch: number
}

interface EpochFacts {
  readonly routing: Routing
  readonly fenced: boolean
}

/** Somebody who may read or write, and under which epoch. */
interface User {
  readonly epoch: number
  readonly who: string
}

interface Entry {
  readonly value: Value
  acked: boolean
}

const other = (path: Path): Path => (path === 'old' ? 'new' : 'old')

/** What has happened, and whether the invariants hold. */
export class Checker {
  readonly #db: Database
  readonly #note: (what: () => string) => void
  readonly #epochs = new Map<number, EpochFacts>()
  readonly #entered = new Set<number>()
  /** What each key was set to, in the order of the commits. */
  readonly #history = new Map<string, Entry[]>()
  readonly #writes = new Map<Transaction, WriteOp[]>()
  /** Transactions that have been let in, with the oldest epoch that they are of. */
  readonly #letIn = new Map<Transaction, { readonly epoch: number; readonly app: string }>()
  /** Writes that have been sent off and may be let in. */
  readonly #sent = new Set<SentWrite>()
  readonly #reads = new Set<ReadOp>()
  readonly #compatible = new Map<string, boolean>()
  readonly apps: Speaker[] = []
  /** Set by the end of a backfill: from then on new is what old is, until somebody stops writing it. */
  #copied = false
  #state: MigrationState | undefined
  /** Whether what the state says is of the present. */
  #claims = true
  #dirty = true

  constructor(db: Database, note: (what: () => string) => void) {
    this.#db = db
    this.#note = note
    db.onCommit((tx) => this.#committed(tx))
  }

  touch(): void {
    this.#dirty = true
  }

  get keys(): readonly string[] {
    return [...this.#history.keys()]
  }

  preload(key: string, value: Value): void {
    this.#history.set(key, [{ value, acked: true }])
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
    this.#state = to
    this.#claims = true
    if (from === undefined || to.epoch !== from.epoch) {
      if (from !== undefined && to.epoch < from.epoch)
        throw new Violation('I6', `epoch ${to.epoch} follows ${from.epoch}`)
      if (this.#entered.has(to.epoch)) {
        throw new Violation('I6', `epoch ${to.epoch} is given out twice, now for ${to.phase}`)
      }
      for (const { epoch, routing, fenced } of to.history) {
        if (this.#epochs.has(epoch) && epoch !== to.epoch) continue
        this.#epochs.set(epoch, { routing, fenced })
      }
      this.#entered.add(to.epoch)
      const routing = this.#epochs.get(to.epoch)?.routing
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
    this.#sent.add(token)
  }

  over(token: SentWrite): void {
    this.#sent.delete(token)
  }

  letIn(tx: Transaction, app: string, epoch: number): void {
    this.#dirty = true
    const before = this.#letIn.get(tx)
    if (before === undefined || epoch < before.epoch) this.#letIn.set(tx, { epoch, app })
  }

  writes(tx: Transaction, op: WriteOp): void {
    const ops = this.#writes.get(tx)
    if (ops === undefined) this.#writes.set(tx, [op])
    else if (!ops.includes(op)) ops.push(op)
  }

  beginRead(app: Speaker, key: string): ReadOp {
    this.#dirty = true
    const entries = this.#entries(key)
    const from = entries.findLastIndex((entry) => entry.acked)
    const read = { app, key, epoch: app.applied, from: Math.max(0, from) }
    this.#reads.add(read)
    return read
  }

  /** I4: what is served is not older than what was acknowledged before the read began. */
  served(read: ReadOp, value: Value): void {
    this.#reads.delete(read)
    const entries = this.#entries(read.key)
    const at = entries.findLastIndex((entry) => entry.value === value)
    if (at >= read.from) return
    const expected = String(entries[read.from]?.value)
    throw new Violation(
      'I4',
      `${read.app.name} is served ${read.key} = ${value} under epoch ${read.epoch}, though ${expected} was acknowledged before`,
    )
  }

  /** Epoch of the oldest read that is in flight in a process. */
  oldestRead(app: Speaker): number | undefined {
    const epochs = [...this.#reads].filter((read) => read.app === app).map(({ epoch }) => epoch)
    return epochs.length === 0 ? undefined : Math.min(...epochs)
  }

  readEnded(read: ReadOp): void {
    this.#reads.delete(read)
  }

  /** I2: what is acknowledged has been committed. */
  acknowledged(op: WriteOp): void {
    if (op.kind === 'remove') {
      // A delete that found nothing leaves no trace; what it came after is acknowledged by others.
      const last = this.#entries(op.key).findLast((entry) => entry.value === undefined)
      if (last !== undefined) last.acked = true
      return
    }
    const entry = this.#entries(op.key).find(({ value }) => value === op.value)
    if (entry === undefined)
      throw new Violation('I2', `${op.key} = ${op.value} is acknowledged and not there`)
    entry.acked = true
  }

  /** The target was killed: nothing that was open there can still commit. */
  targetCrashed(): void {
    this.#letIn.clear()
  }

  /** The process is gone, and what it had in flight with it. */
  gone(app: Speaker): void {
    for (const read of this.#reads) if (read.app === app) this.#reads.delete(read)
    for (const token of this.#sent) if (token.app === app) this.#sent.delete(token)
  }

  /** I3: nothing of an older epoch is in flight, or can still come. */
  workStarts(kind: string, epoch: number): void {
    for (const { epoch: writes, who } of this.#writers()) {
      if (writes >= epoch) continue
      throw new Violation(
        'I3',
        `${kind} of epoch ${epoch} begins while ${who} may write under epoch ${writes}`,
      )
    }
  }

  /** I7, as far as data is concerned: nobody is left who uses old when it is dropped. */
  oldIsDropped(): void {
    const uses = (users: readonly User[], paths: (routing: Routing) => readonly Path[]) => {
      for (const { epoch, who } of users) {
        const routing = this.#epochs.get(epoch)?.routing
        if (routing === undefined || !paths(routing).includes('old')) continue
        throw new Violation('I7', `old is dropped while ${who} uses it under epoch ${epoch}`)
      }
    }
    uses(this.#readers(), servedPaths)
    uses(this.#writers(), writtenPaths)
  }

  /** Whether a transaction of this process is open in the target. */
  hasOpen(app: string): boolean {
    for (const [tx, entry] of this.#letIn) if (tx.active && entry.app === app) return true
    return false
  }

  /** Whether writes of an epoch go through the fence. */
  fenced(epoch: number): boolean {
    return this.#epochs.get(epoch)?.fenced === true
  }

  /** Called after every step. */
  check(): void {
    if (!this.#dirty) return
    this.#dirty = false
    for (const tx of this.#letIn.keys()) if (!tx.active) this.#letIn.delete(tx)
    const readers = this.#readers()
    this.#checkCompatible(readers)
    this.#checkData(readers)
  }

  #readers(): User[] {
    const able = this.apps.filter((app) => app.atWork && !app.halted)
    return [
      ...able.map((app) => ({ epoch: app.applied, who: app.name })),
      ...[...this.#reads]
        .filter(({ app }) => !app.halted)
        .map(({ app, epoch }) => ({ epoch, who: `a read of ${app.name}` })),
    ]
  }

  /** Who has been let in, and who may be. */
  #writers(): User[] {
    const minimum = this.#db.sequences.get(minimumSequence(MIGRATION)) ?? 0
    const may = (app: Speaker, epoch: number) =>
      !(app.fenced && this.#epochs.get(epoch)?.fenced === true && epoch < minimum)
    const able = this.apps.filter((app) => app.atWork && !app.halted)
    return [
      ...able.filter((app) => may(app, app.applied)).map((app) => ({ epoch: app.applied, who: app.name })),
      ...[...this.#sent]
        .filter(({ app, epoch }) => may(app, epoch))
        .map(({ app, epoch }) => ({ epoch, who: `a write under way of ${app.name}` })),
      ...[...this.#letIn]
        .filter(([tx]) => tx.active)
        .map(([, { epoch, app }]) => ({ epoch, who: `a transaction of ${app}` })),
    ]
  }

  /** I1: a path that is served to one is written by everyone. */
  #checkCompatible(readers: readonly User[]): void {
    const writers = this.#writers()
    for (const reader of readers) {
      for (const writer of writers) {
        if (this.#mayCoexist(reader.epoch, writer.epoch)) continue
        throw new Violation(
          'I1',
          `${reader.who} may be served under epoch ${reader.epoch} from a path that ${writer.who} does not write under epoch ${writer.epoch}`,
        )
      }
    }
  }

  #mayCoexist(reader: number, writer: number): boolean {
    if (reader === writer) return true
    const pair = `${reader}/${writer}`
    let known = this.#compatible.get(pair)
    if (known === undefined) {
      const [one, two] = [this.#epochs.get(reader), this.#epochs.get(writer)]
      known = one === undefined || two === undefined || readsAreWritten(one.routing, two.routing)
      this.#compatible.set(pair, known)
    }
    return known
  }

  /** I2 and I4: a path that is served, or said to be complete, holds what was written last, or is known not to. */
  #checkData(readers: readonly User[]): void {
    const claims = new Map<string, { path: Path; queued: 'never' | 'read' | 'known'; who: string }>()
    for (const { epoch, who } of readers) {
      const facts = this.#epochs.get(epoch)
      if (facts === undefined) continue
      for (const path of servedPaths(facts.routing)) {
        const asks =
          facts.routing.asks?.includes(path) === true && writtenPaths(facts.routing).includes(other(path))
        const queued = asks ? 'read' : 'never'
        claims.set(`${path} ${queued}`, { path, queued, who: `${who} is served from under epoch ${epoch}` })
      }
    }
    const state = this.#claims ? this.#state : undefined
    for (const path of ['old', 'new'] as const) {
      if (state?.complete[path] !== true) continue
      claims.set(`${path} known`, {
        path,
        queued: 'known',
        who: `the state of epoch ${state.epoch} says is complete`,
      })
    }
    if (this.#copied) claims.set('copied', { path: 'new', queued: 'known', who: 'the backfill has copied' })
    if (claims.size === 0) return
    const rows = { old: this.#db.committed(TABLES.old), new: this.#db.committed(TABLES.new) }
    const repairs = this.#db.committed(REPAIRS)
    for (const [key, entries] of this.#history) {
      const truth = entries.at(-1)?.value
      for (const { path, queued, who } of claims.values()) {
        const value = rows[path].get(key)
        const open = repairs.has(repairKey(MIGRATION, key, path))
        if (open && queued === 'read') {
          const instead = rows[other(path)].get(key)
          if (instead === truth) continue
          throw new Violation(
            'I4',
            `${key} waits for repair of ${path}, and ${other(path)} has ${instead} instead of ${truth}`,
          )
        }
        if (value === truth || (open && queued === 'known')) continue
        throw new Violation(
          queued === 'known' ? 'I2' : 'I4',
          `${path}, which ${who}, has ${key} = ${value} instead of ${truth}`,
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
      const entries = this.#entries(op.key)
      if (entries.at(-1)?.value === value && op.kind === 'remove') continue
      entries.push({ value, acked: false })
      this.#note(() => `commits ${op.app} ${op.kind} ${op.key} = ${value}`)
    }
  }

  /** What a delete has left in the path that leads: a snapshot may have kept it from seeing a row. */
  #left(key: string): Value {
    const complete = this.#state?.complete
    const queued = this.#db.committed(REPAIRS).has(repairKey(MIGRATION, key, 'old'))
    const path = complete?.old === false || queued ? 'new' : 'old'
    return this.#db.committed(TABLES[path]).get(key)
  }

  #entries(key: string): Entry[] {
    let entries = this.#history.get(key)
    if (entries === undefined) {
      entries = [{ value: undefined, acked: true }]
      this.#history.set(key, entries)
    }
    return entries
  }
}
