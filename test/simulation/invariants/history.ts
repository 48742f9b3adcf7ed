import type { ReadOp, Value, WriteOp } from './operations.ts'
import { Violation } from './violation.ts'

interface Entry {
  readonly value: Value
  acked: boolean
}

/** What each key was set to, in the order of the commits, and what of it was acknowledged. */
export class History {
  readonly #keys = new Map<string, Entry[]>()

  preload(key: string, value: Value): void {
    this.#keys.set(key, [{ value, acked: true }])
  }

  keys(): Iterable<string> {
    return this.#keys.keys()
  }

  /** What a key is set to now. */
  present(key: string): Value {
    return this.#keys.get(key)?.at(-1)?.value
  }

  /** False where a delete or a plain update found nothing to change. */
  committed({ key, kind }: WriteOp, value: Value): boolean {
    const entries = this.#entries(key)
    if (entries.at(-1)?.value === value && kind !== 'put') return false
    entries.push({ value, acked: false })
    return true
  }

  /** I2: what is acknowledged has been committed. */
  acknowledged(op: WriteOp): void {
    const entries = this.#entries(op.key)
    if (op.kind === 'remove') {
      // A delete that found nothing leaves no trace; what it came after is acknowledged by others.
      const last = entries.findLast((entry) => entry.value === undefined)
      if (last !== undefined) last.acked = true
      return
    }
    const entry = entries.find(({ value }) => value === op.value)
    if (entry === undefined && op.kind === 'change') return
    if (entry === undefined)
      throw new Violation('I2', `${op.key} = ${op.value} is acknowledged and not there`)
    entry.acked = true
  }

  /** Position below which a read that begins now may not be answered. */
  floor(key: string): number {
    return Math.max(
      0,
      this.#entries(key).findLastIndex((entry) => entry.acked),
    )
  }

  /** I4: what is served is not older than what was acknowledged before the read began. */
  served({ app, key, epoch, from }: ReadOp, value: Value): void {
    const entries = this.#entries(key)
    if (entries.findLastIndex((entry) => entry.value === value) >= from) return
    const expected = String(entries[from]?.value)
    throw new Violation(
      'I4',
      `${app.name} is served ${key} = ${value} under epoch ${epoch}, though ${expected} was acknowledged before`,
    )
  }

  #entries(key: string): Entry[] {
    let entries = this.#keys.get(key)
    if (entries === undefined) {
      entries = [{ value: undefined, acked: true }]
      this.#keys.set(key, entries)
    }
    return entries
  }
}
