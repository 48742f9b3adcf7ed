import type { MigrationState, Path, Routing } from '@switchback/migrations-registry'
import { readsAreWritten, servedPaths, writtenPaths } from '@switchback/migrations-registry'
import { Violation } from './violation.ts'

/** That whoever is served under an epoch relies on a path. */
export interface Reliance {
  readonly name: string
  readonly path: Path
  /**
   * What of a key that is queued for repair of this path: it must be right all the same; or its readers
   * ask, and are served from the other path. A claim may also be that it is known to be behind.
   */
  readonly queued: 'never' | 'read'
}

interface EpochFacts {
  readonly routing: Routing
  readonly fenced: boolean
  readonly reliances: readonly Reliance[]
}

export const otherPath = (path: Path): Path => (path === 'old' ? 'new' : 'old')

/** What each epoch told the instances to do. */
export class Epochs {
  readonly #facts = new Map<number, EpochFacts>()
  readonly #entered = new Set<number>()
  /** By reader, then by writer. */
  readonly #compatible = new Map<number, Map<number, boolean>>()

  /** I6: none is given out twice, nor after a later one. */
  enter(from: MigrationState | undefined, to: MigrationState): void {
    if (from !== undefined && to.epoch < from.epoch)
      throw new Violation('I6', `epoch ${to.epoch} follows ${from.epoch}`)
    if (this.#entered.has(to.epoch)) {
      throw new Violation('I6', `epoch ${to.epoch} is given out twice, now for ${to.phase}`)
    }
    for (const { epoch, routing, fenced } of to.history) {
      if (this.#facts.has(epoch) && epoch !== to.epoch) continue
      this.#facts.set(epoch, { routing, fenced, reliances: reliancesOn(routing) })
    }
    this.#entered.add(to.epoch)
  }

  routing(epoch: number): Routing | undefined {
    return this.#facts.get(epoch)?.routing
  }

  /** What whoever is served under this epoch relies on. */
  reliances(epoch: number): readonly Reliance[] {
    return this.#facts.get(epoch)?.reliances ?? []
  }

  /** Whether writes of an epoch go through the fence. */
  fenced(epoch: number): boolean {
    return this.#facts.get(epoch)?.fenced === true
  }

  /** Whether what one may be served from is written by the other. */
  mayCoexist(reader: number, writer: number): boolean {
    if (reader === writer) return true
    let known = this.#compatible.get(reader)
    if (known === undefined) {
      known = new Map()
      this.#compatible.set(reader, known)
    }
    let may = known.get(writer)
    if (may === undefined) {
      const [one, two] = [this.routing(reader), this.routing(writer)]
      may = one === undefined || two === undefined || readsAreWritten(one, two)
      known.set(writer, may)
    }
    return may
  }
}

function reliancesOn(routing: Routing): readonly Reliance[] {
  return servedPaths(routing).map((path) => {
    const asks = routing.asks?.includes(path) === true && writtenPaths(routing).includes(otherPath(path))
    const queued = asks ? 'read' : 'never'
    return { name: `${path} ${queued}`, path, queued }
  })
}
