/** What an application instance wrote down about one key: only what was acknowledged to it counts. */
export interface KeyRecord {
  readonly key: string
  /** Counter of the newest acknowledged write of this instance; 0 where it wrote nothing. */
  readonly acknowledged: number
  /** Counter of the newest write begun; above `acknowledged` where its end is unknown. */
  readonly begun: number
  /** Unix ms of the newest acknowledgement. */
  readonly at: number
  /** Whether this instance created the key, and whether it removed it again. */
  readonly created: boolean
  readonly removed: boolean
}

export interface LedgerSummary {
  readonly instance: string
  readonly reads: number
  readonly writesAcknowledged: number
  readonly staleReads: number
  readonly injectedErrors: number
  readonly unexpectedErrors: number
  /** The first few, for a person. */
  readonly examples: readonly string[]
}

interface MutableRecord {
  acknowledged: number
  begun: number
  at: number
  created: boolean
  removed: boolean
}

/** The ledger of one instance. */
export class Ledger {
  readonly instance: string
  reads = 0
  writesAcknowledged = 0
  staleReads = 0
  injectedErrors = 0
  unexpectedErrors = 0
  readonly #keys = new Map<string, MutableRecord>()
  readonly #examples: string[] = []

  constructor(instance: string) {
    this.instance = instance
  }

  /** Newest acknowledged counter of a key, as a reader must at least see it. */
  acknowledged(key: string): number {
    return this.#keys.get(key)?.acknowledged ?? 0
  }

  #record(key: string): MutableRecord {
    const existing = this.#keys.get(key)
    if (existing !== undefined) return existing
    const record = { acknowledged: 0, begun: 0, at: 0, created: false, removed: false }
    this.#keys.set(key, record)
    return record
  }

  begin(key: string, counter: number): void {
    this.#record(key).begun = counter
  }

  acknowledge(key: string, counter: number, kind: 'create' | 'update' | 'remove'): void {
    const record = this.#record(key)
    record.acknowledged = counter
    record.at = Date.now()
    if (kind === 'create') record.created = true
    if (kind === 'remove') record.removed = true
    this.writesAcknowledged++
  }

  fail(error: unknown, what: string): void {
    if (error instanceof Error && error.name === 'InjectedError') {
      this.injectedErrors++
      return
    }
    this.unexpectedErrors++
    this.#example(`${what}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`)
  }

  stale(what: string): void {
    this.staleReads++
    this.#example(what)
  }

  #example(text: string): void {
    if (this.#examples.length < 5) this.#examples.push(text)
  }

  summary(): LedgerSummary {
    const { instance, reads, writesAcknowledged, staleReads, injectedErrors, unexpectedErrors } = this
    return {
      instance,
      reads,
      writesAcknowledged,
      staleReads,
      injectedErrors,
      unexpectedErrors,
      examples: this.#examples,
    }
  }

  records(): KeyRecord[] {
    return [...this.#keys].map(([key, record]) => ({ key, ...record }))
  }
}
