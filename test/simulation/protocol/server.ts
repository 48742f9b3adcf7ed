import type { Answer, Heartbeat, Registration, Snapshot, WireError } from '@switchback/migrations-registry'
import { configOf } from '@switchback/migrations-registry'
import {
  createEngine,
  createPhaseService,
  createTargetFacts,
  createWorkRunner,
  type Engine,
  type Execution,
  type PhaseService,
  type PhaseStore,
} from '@switchback/server/protocol'
import { Violation } from '../invariants/violation.ts'
import type { SimProcess } from '../world/process.ts'
import type { Connection, Endpoint } from './link.ts'
import type { Registry } from './registry.ts'
import type { SimStore } from './store.ts'
import { MIGRATION } from './tables.ts'

export interface ServerOptions {
  readonly process: SimProcess
  readonly store: SimStore
  readonly registry: Registry
  /** The port of the phase service; where some mutants come in. */
  readonly phaseStore: PhaseStore
  readonly execution: (process: SimProcess) => Execution
  /** Milliseconds between two looks of the engine. */
  readonly lookMs: number
}

/** How long the target is waited for before the server listens all the same. */
const FIRST_LOOK_MS = 30

interface Parts {
  readonly phases: PhaseService
  readonly engine: Engine
}

/** A server: the product's phase service and engine, and the end that instances speak to. */
export class SimServer implements Endpoint {
  readonly process: SimProcess
  open = false
  readonly #options: ServerOptions
  #parts: Parts | undefined
  #connections = new Map<Connection, { id: string; incarnation: string } | undefined>()
  /** Content revision up to which instances have been told; undefined before the first look. */
  #told: number | undefined
  #telling = false
  #tellAgain = false
  #ids = 0

  constructor(options: ServerOptions) {
    this.process = options.process
    this.#options = options
  }

  get phases(): PhaseService | undefined {
    return this.process.up ? this.#parts?.phases : undefined
  }

  get phaseStore(): PhaseStore {
    return this.#options.phaseStore
  }

  /** A phase service over another port to the store; with `waits`, one that reverts only after all acks. */
  phasesOver(store: PhaseStore, waits: boolean): PhaseService {
    const phases = this.#phases(store, this.#options.execution(this.process))
    if (!waits) return phases
    return {
      ...phases,
      command: async (id, command, actor) => {
        for (;;) {
          const migration = await store.find(id)
          if (migration === undefined) break
          const { definition, state } = migration
          const instances = await store.tx((tx) => tx.instances(id, definition.apps))
          const late = instances.filter(({ drained }) => drained < state.epoch)
          if (late.length === 0) break
          await this.process.delay(10)
        }
        return phases.command(id, command, actor)
      },
    }
  }

  /** What runs at every start of the process. */
  readonly main = (): void => {
    const { process, phaseStore, lookMs } = this.#options
    this.open = false
    this.#connections = new Map()
    this.#told = undefined
    this.#telling = false
    const execution = this.#options.execution(process)
    const phases = this.#phases(phaseStore, execution)
    const runner = createWorkRunner({
      phases,
      executionFor: () => execution,
      instancesOf: ({ definition }) => phaseStore.tx((tx) => tx.instances(definition.id, definition.apps)),
      works: { progress: async () => {}, end: async () => {} },
      clock: process.clock,
      delay: process.delay,
      onFault: this.#fault,
    })
    const engine = createEngine({
      // Nothing is measured in the model.
      holds: () => [],
      phases,
      runner,
      executionFor: () => execution,
      onFault: this.#fault,
      intervalMs: lookMs,
      every: process.every,
      repair: ({ definition }) => execution.repairSome(definition, 10),
    })
    this.#parts = { phases, engine }
    process.every(lookMs, () => this.#tell())
    const patience = process.delay(FIRST_LOOK_MS)
    void Promise.race([engine.firstLook(), patience]).then(() => {
      this.open = true
      this.#tell()
      engine.wake()
    })
  }

  readonly #fault = (error: unknown, during: string): void => {
    if (error instanceof Violation) this.process.world.fail(error)
    this.process.world.note(this.process.name, () => `${during} failed: ${String(error)}`)
  }

  #phases(store: PhaseStore, execution: Execution): PhaseService {
    const { process } = this.#options
    return createPhaseService({
      store,
      clock: process.clock,
      newId: (prefix) => `${prefix}-${process.name}-${++this.#ids}`,
      target: createTargetFacts(() => execution, this.#fault),
      announce: () => {
        this.#parts?.engine.wake()
        this.#tell()
      },
    })
  }

  connected(connection: Connection): void {
    this.#connections.set(connection, undefined)
  }

  disconnected(connection: Connection): void {
    this.#connections.delete(connection)
  }

  /** What the socket namespace of the product does with each message. */
  async take(connection: Connection, event: string, body: unknown): Promise<unknown> {
    if (!this.#connections.has(connection)) return undefined
    const { process, registry } = this.#options
    switch (event) {
      case 'register':
        return this.#register(connection, body as Registration)
      case 'sync':
        return { ok: true, value: await this.#snapshot() } satisfies Answer<Snapshot>
      case 'telemetry':
        return this.#speaker(connection, async () => ({ ok: true, value: null }))
      case 'goodbye':
        return this.#speaker(connection, async ({ id, incarnation }) => {
          const gone = await registry.goodbye(process, id, incarnation)
          return gone.ok ? { ok: true, value: null } : refused(gone.error)
        })
      default:
        return this.#speaker(connection, async ({ id, incarnation }) => {
          const stored = await registry.heartbeat(process, id, incarnation, body as Heartbeat)
          if (!stored.ok) return refused(stored.error)
          this.#parts?.engine.wake()
          if (event === 'progress') return { ok: true, value: null }
          return { ok: true, value: { revision: this.#told ?? 0, leaseMs: registry.leaseMs } }
        })
    }
  }

  async #register(connection: Connection, registration: Registration): Promise<Answer<unknown>> {
    const { process, registry, store } = this.#options
    // It would be told of an epoch that may have passed; the product does so, since it must get its flags.
    const doubted = store.find(MIGRATION)
    const { applied = 0 } = registration.positions[MIGRATION] ?? {}
    if (doubted?.compared === false && applied < doubted.state.epoch) {
      return refused({ code: 'not-simulated', message: 'The store may be out of date.', retryable: true })
    }
    const result = await registry.register(process, registration)
    if (!result.ok) return refused(result.error)
    const { instance: id, incarnation } = registration
    for (const [other, speaker] of this.#connections) {
      if (other === connection || speaker?.id !== id || speaker.incarnation === incarnation) continue
      this.#connections.set(other, undefined)
      const message = `Another process has registered as ${id}.`
      other.tell('dismissed', { code: 'instance-taken', message, retryable: true } satisfies WireError)
    }
    if (this.#connections.has(connection)) this.#connections.set(connection, { id, incarnation })
    const { heartbeatMs, leaseMs } = registry
    return { ok: true, value: { snapshot: await this.#snapshot(), heartbeatMs, leaseMs } }
  }

  async #speaker(
    connection: Connection,
    run: (speaker: { readonly id: string; readonly incarnation: string }) => Promise<Answer<unknown>>,
  ): Promise<Answer<unknown>> {
    const speaker = this.#connections.get(connection)
    if (speaker !== undefined) return run(speaker)
    return refused({ code: 'unknown-instance', message: 'Register first.', retryable: true })
  }

  async #snapshot(): Promise<Snapshot> {
    for (;;) {
      const snapshot = await this.#read()
      if (snapshot.revision >= (this.#told ?? 0)) return snapshot
    }
  }

  #read(): Promise<Snapshot> {
    const { process, store } = this.#options
    return store.ask(process, ({ migrations }) => ({
      revision: Math.max(0, ...[...migrations.values()].map(({ revision }) => revision)),
      migrations: [...migrations.values()].map(({ definition, state }) => configOf(definition, state)),
      flags: [],
    }))
  }

  /** Tells every instance what is new; one look at a time. */
  #tell(): void {
    if (this.#telling) {
      this.#tellAgain = true
      return
    }
    this.#telling = true
    this.#tellAgain = false
    void this.#read().then((snapshot) => {
      this.#telling = false
      const since = this.#told ?? snapshot.revision
      if (snapshot.revision > since) {
        const change = { ...snapshot, since, removedMigrations: [], removedFlags: [] }
        for (const connection of this.#connections.keys()) connection.tell('change', change)
      }
      this.#told = Math.max(since, snapshot.revision)
      if (this.#tellAgain) this.#tell()
    })
  }
}

const refused = (error: WireError): { readonly ok: false; readonly error: WireError } => ({
  ok: false,
  error,
})
