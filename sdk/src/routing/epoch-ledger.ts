import type { Position } from '@switchback/migrations-registry'

export type OperationKind = 'read' | 'write' | 'remove' | 'compare' | 'transaction'

/** One operation in flight: a link in the list of its epoch, in the order of beginning. */
export interface Operation {
  readonly kind: OperationKind
  readonly startedAt: number
  readonly slot: EpochSlot
  previous: Operation | undefined
  next: Operation | undefined
  ended: boolean
}

/** What is in flight under one epoch. */
export interface EpochSlot {
  readonly epoch: number
  readonly ledger: EpochLedger
  oldest: Operation | undefined
  newest: Operation | undefined
}

/**
 * Counts the operations of one migration by the epoch under which they began. The gate of the server
 * relies on it: an epoch counts as drained only when the last operation of every older one has ended.
 */
export class EpochLedger {
  #current: EpochSlot
  /** Slots of older epochs with operations in flight, oldest first. */
  readonly #passed: EpochSlot[] = []
  readonly #onChange: () => void
  readonly #whenIdle: (() => void)[] = []
  #calls = 0

  constructor(epoch: number, onChange: () => void) {
    this.#onChange = onChange
    this.#current = this.#slot(epoch)
  }

  get current(): EpochSlot {
    return this.#current
  }

  get applied(): number {
    return this.#current.epoch
  }

  /** Nothing of an epoch older than this is in flight. */
  get drained(): number {
    return this.#passed[0]?.epoch ?? this.#current.epoch
  }

  /** Operations that begin from now on belong to `epoch`. Never goes back. */
  apply(epoch: number): EpochSlot {
    if (epoch <= this.#current.epoch) return this.#current
    const before = this.#current
    if (before.oldest !== undefined) this.#passed.push(before)
    this.#current = this.#slot(epoch)
    this.#onChange()
    return this.#current
  }

  /** Called by `endOperation` when the last operation of a slot has ended. */
  emptied(slot: EpochSlot): void {
    this.#tellIdle()
    const index = this.#passed.indexOf(slot)
    if (index < 0) return
    this.#passed.splice(index, 1)
    if (index === 0) this.#onChange()
  }

  /** Where this migration stands on this instance, with the oldest operation in flight. */
  position(now: number): Position {
    const oldest = (this.#passed[0] ?? this.#current).oldest
    return {
      applied: this.applied,
      drained: this.drained,
      ...(oldest === undefined
        ? {}
        : { oldest: { kind: oldest.kind, ageMs: Math.max(0, Math.round(now - oldest.startedAt)) } }),
    }
  }

  /**
   * A call that may take several operations: between two attempts nothing of it is in flight, under no epoch,
   * and yet it goes on. Until it has ended the ledger is not idle.
   */
  callBegins(): void {
    this.#calls++
  }

  callEnds(): void {
    this.#calls--
    this.#tellIdle()
  }

  /** Nothing is in flight, under any epoch, and nothing will be begun again. */
  get idle(): boolean {
    return this.#calls === 0 && this.#nothingInFlight
  }

  get #nothingInFlight(): boolean {
    return this.#current.oldest === undefined && this.#passed.every((slot) => slot.oldest === undefined)
  }

  /** Resolves when nothing is in flight any more. */
  untilIdle(): Promise<void> {
    return this.idle ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #tellIdle(): void {
    if (this.idle) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  #slot(epoch: number): EpochSlot {
    return { epoch, ledger: this, oldest: undefined, newest: undefined }
  }
}

/** Begins an operation under the epoch of the slot. */
export function beginOperation(slot: EpochSlot, kind: OperationKind, now: number): Operation {
  const previous = slot.newest
  const operation: Operation = { kind, startedAt: now, slot, previous, next: undefined, ended: false }
  if (previous === undefined) slot.oldest = operation
  else previous.next = operation
  slot.newest = operation
  return operation
}

/** Ends an operation; ending it again does nothing. */
export function endOperation(operation: Operation): void {
  if (operation.ended) return
  operation.ended = true
  const { slot, previous, next } = operation
  if (previous === undefined) slot.oldest = next
  else previous.next = next
  if (next === undefined) slot.newest = previous
  else next.previous = previous
  // An ended operation that has grown old in the heap would keep all that came after it from being collected.
  operation.previous = undefined
  operation.next = undefined
  if (slot.oldest === undefined) slot.ledger.emptied(slot)
}
