import type { MigrationState, Routing } from '@switchback/migrations-registry'
import { readsAreWritten } from '@switchback/migrations-registry'
import { Violation } from './violation.ts'

interface EpochFacts {
  readonly routing: Routing
  readonly fenced: boolean
}

/** What each epoch told the instances to do. */
export class Epochs {
  readonly #facts = new Map<number, EpochFacts>()
  readonly #entered = new Set<number>()
  readonly #compatible = new Map<string, boolean>()

  /** I6: none is given out twice, nor after a later one. */
  enter(from: MigrationState | undefined, to: MigrationState): void {
    if (from !== undefined && to.epoch < from.epoch)
      throw new Violation('I6', `epoch ${to.epoch} follows ${from.epoch}`)
    if (this.#entered.has(to.epoch)) {
      throw new Violation('I6', `epoch ${to.epoch} is given out twice, now for ${to.phase}`)
    }
    for (const { epoch, routing, fenced } of to.history) {
      if (this.#facts.has(epoch) && epoch !== to.epoch) continue
      this.#facts.set(epoch, { routing, fenced })
    }
    this.#entered.add(to.epoch)
  }

  routing(epoch: number): Routing | undefined {
    return this.#facts.get(epoch)?.routing
  }

  /** Whether writes of an epoch go through the fence. */
  fenced(epoch: number): boolean {
    return this.#facts.get(epoch)?.fenced === true
  }

  /** Whether what one may be served from is written by the other. */
  mayCoexist(reader: number, writer: number): boolean {
    if (reader === writer) return true
    const pair = `${reader}/${writer}`
    let known = this.#compatible.get(pair)
    if (known === undefined) {
      const [one, two] = [this.routing(reader), this.routing(writer)]
      known = one === undefined || two === undefined || readsAreWritten(one, two)
      this.#compatible.set(pair, known)
    }
    return known
  }
}
