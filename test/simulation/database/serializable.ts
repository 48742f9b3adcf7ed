import { serializationFailure } from './db-error.ts'
import type { KeyRange } from './relation.ts'
import { inRange } from './relation.ts'
import type { Transaction } from './transaction.ts'

interface ReadSet {
  readonly keys: Set<string>
  readonly ranges: KeyRange[]
}

/** What is kept of one SERIALIZABLE transaction, also for a while after its commit. */
interface Entry {
  readonly tx: Transaction
  readonly reads: Map<string, ReadSet>
  /** Who read what this one has overwritten. */
  readonly readers: Set<Entry>
  /** Who has overwritten what this one read. */
  readonly writers: Set<Entry>
  /** Number of the newest commit when the snapshot was taken. */
  readonly snapshot: number
  wrote: boolean
  /** The order of the commits; undefined before. */
  commit: number | undefined
  doomed: boolean
}

const FAILED = 'read/write dependencies among transactions'

/**
 * Serializable snapshot isolation by PostgreSQL's rules (`predicate.c`): reads are remembered by key and
 * range; a structure of two read/write dependencies whose last transaction commits first costs one of the
 * three its life. Keys and ranges are exact here, pages in PostgreSQL: it fails more transactions than this.
 */
export class Serializability {
  readonly #entries = new Map<Transaction, Entry>()

  begin(tx: Transaction): void {
    this.#entries.set(tx, {
      tx,
      reads: new Map(),
      readers: new Set(),
      writers: new Set(),
      snapshot: tx.snapshot?.commit ?? 0,
      wrote: false,
      commit: undefined,
      doomed: false,
    })
  }

  /** Remembers that `tx` has read these keys, whether or not there are rows. */
  read(tx: Transaction, relation: string, what: string | KeyRange): void {
    const entry = this.#entries.get(tx)
    if (entry === undefined) return
    this.#failDoomed(entry)
    let reads = entry.reads.get(relation)
    if (reads === undefined) {
      reads = { keys: new Set(), ranges: [] }
      entry.reads.set(relation, reads)
    }
    if (typeof what === 'string') reads.keys.add(what)
    else reads.ranges.push(what)
  }

  /** `tx` did not see what `by` wrote, though it looked there. */
  missed(tx: Transaction, by: Transaction): void {
    const reader = this.#entries.get(tx)
    const writer = this.#entries.get(by)
    if (reader === undefined || writer === undefined || reader === writer) return
    if (by.status === 'aborted' || writer.doomed) return
    if (writer.commit !== undefined && writer.commit <= reader.snapshot) return
    this.#conflict(reader, writer, reader)
  }

  /** `tx` is about to write this key. */
  write(tx: Transaction, relation: string, key: string): void {
    const writer = this.#entries.get(tx)
    if (writer === undefined) return
    this.#failDoomed(writer)
    writer.wrote = true
    for (const reader of this.#entries.values()) {
      if (reader === writer || reader.doomed) continue
      if (reader.commit !== undefined && reader.commit <= writer.snapshot) continue
      const reads = reader.reads.get(relation)
      if (reads === undefined) continue
      if (!reads.keys.has(key) && !reads.ranges.some((range) => inRange(range, key))) continue
      this.#conflict(reader, writer, writer)
    }
  }

  /** Before a commit: fails it, or dooms a pivot that this commit would make dangerous. */
  precommit(tx: Transaction): void {
    const entry = this.#entries.get(tx)
    if (entry === undefined) return
    this.#failDoomed(entry)
    for (const pivot of entry.readers) {
      if (pivot.commit !== undefined || pivot.doomed) continue
      for (const first of pivot.readers) {
        if (first === entry || (first.commit === undefined && !first.doomed)) {
          pivot.doomed = true
          break
        }
      }
    }
  }

  committed(tx: Transaction): void {
    const entry = this.#entries.get(tx)
    if (entry === undefined) return
    entry.commit = tx.commit
    this.#forgetPast()
  }

  aborted(tx: Transaction): void {
    const entry = this.#entries.get(tx)
    if (entry === undefined) return
    this.#remove(entry)
    this.#forgetPast()
  }

  clear(): void {
    this.#entries.clear()
  }

  #conflict(reader: Entry, writer: Entry, acting: Entry): void {
    if (reader.writers.has(writer)) return
    if (isDangerous(reader, writer)) {
      if (acting === writer || writer.commit !== undefined) throw serializationFailure(FAILED)
      writer.doomed = true
    }
    reader.writers.add(writer)
    writer.readers.add(reader)
  }

  #failDoomed(entry: Entry): void {
    if (entry.doomed) throw serializationFailure(FAILED)
  }

  /** Drops committed transactions that overlap with none that is still open. */
  #forgetPast(): void {
    let oldest = Number.POSITIVE_INFINITY
    for (const entry of this.#entries.values()) {
      if (entry.commit === undefined) oldest = Math.min(oldest, entry.snapshot)
    }
    for (const entry of [...this.#entries.values()]) {
      if (entry.commit !== undefined && entry.commit <= oldest) this.#entries.delete(entry.tx)
    }
    if (oldest === Number.POSITIVE_INFINITY) this.#entries.clear()
  }

  #remove(entry: Entry): void {
    for (const reader of entry.readers) reader.writers.delete(entry)
    for (const writer of entry.writers) writer.readers.delete(entry)
    this.#entries.delete(entry.tx)
  }
}

/** Whether reader → writer completes a dangerous structure: T0 → pivot → T2 where T2 commits first. */
function isDangerous(reader: Entry, writer: Entry): boolean {
  for (const last of writer.writers) {
    if (last.commit === undefined) continue
    if (reader.commit !== undefined && last.commit > reader.commit) continue
    if (writer.commit !== undefined && last.commit > writer.commit) continue
    if (isReadOnly(reader) && last.commit > reader.snapshot) continue
    return true
  }
  if (writer.commit === undefined || isReadOnly(reader)) return false
  for (const first of reader.readers) {
    if (first.doomed) continue
    if (first.commit !== undefined && first.commit < writer.commit) continue
    if (isReadOnly(first) && first.snapshot < writer.commit) continue
    return true
  }
  return false
}

/** Known for certain only once it has committed without a write. */
const isReadOnly = (entry: Entry): boolean => entry.commit !== undefined && !entry.wrote
