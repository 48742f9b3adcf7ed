import type { Phase } from '@switchback/migrations-registry'
import { phaseIndex, writtenPaths } from '@switchback/migrations-registry'
import type { Command, CommandResult, StoredMigration } from '@switchback/server/protocol'
import type { Database } from '../database/database.ts'
import type { Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'
import type { World } from '../world/world.ts'
import type { Application } from './application.ts'
import type { Checker } from './checker.ts'
import { countAsks, REVERT_ASKS } from './count-asks.ts'
import type { Mutant } from './mutants.ts'
import type { Registry } from './registry.ts'
import { type Action, drawAction, type Scenario } from './scenario.ts'
import type { SimServer } from './server.ts'
import type { SimStore, StoreContent } from './store.ts'
import { FENCES, MIGRATION } from './tables.ts'
import { Violation } from './violation.ts'

export interface OperatorOptions {
  readonly world: World
  readonly network: Network
  readonly db: Database
  readonly store: SimStore
  readonly registry: Registry
  readonly server: SimServer
  readonly worker: SimServer | undefined
  readonly apps: readonly Application[]
  readonly scenario: Scenario
  readonly checker: Checker
  readonly mutant: Mutant | undefined
}

const PERSON = { name: 'person' }
const PIPELINE = { name: 'alerts' }

/** Whoever and whatever acts upon the system: people, pipelines, alerts, and misfortune. */
export class Operator {
  readonly #o: OperatorOptions
  #backup: StoreContent | undefined
  /** After a restore nobody commands anything before every process is registered again. */
  #waitsForFleet = false

  constructor(options: OperatorOptions) {
    this.#o = options
  }

  start(): void {
    const { world, scenario } = this.#o
    const { random } = world
    let at = 30
    for (let i = 0; i < scenario.actions; i++) {
      at += random.between(...scenario.actionMs)
      const action = drawAction(random, scenario.likely)
      world.at(at, () => this.#act(action))
    }
    world.at(at + 100, () => this.#act('advance'))
    world.at(at + 250, () => this.#act('advance'))
  }

  #act(action: Action): void {
    const { world, network, server, worker, apps, db, checker } = this.#o
    const { random } = world
    const app = random.pick(apps)
    this.#forgetTheDead()
    switch (action) {
      case 'advance':
        // Steps that are open one after the other are taken so, as a pipeline would.
        return this.#command({ type: 'advance' }, random.chance(0.6) ? 3 : 1)
      case 'revert':
        return this.#revert(undefined, { kind: 'manual', reason: 'asked for' })
      case 'revert-far':
        return this.#revert(random.pick(['expanded', 'dual-write'] as const), {
          kind: 'manual',
          reason: 'far',
        })
      case 'alert':
        return this.#revert(undefined, { kind: 'alert', reason: 'errors', path: 'new', operation: 'write' })
      case 'rearm':
        return this.#command({ type: 'rearm', reason: 'mended' })
      case 'retry':
        return this.#command({ type: 'retry-work' })
      case 'set-share':
        return this.#command({ type: 'set-rollout', share: random.pick([0, 0.3, 1]) })
      case 'pause':
        this.#command({ type: 'pause' })
        return void world.at(random.between(10, 100), () => this.#command({ type: 'resume' }))
      case 'approve':
        return this.#command({ type: 'approve' })
      case 'stop-app':
        return this.#stop(app)
      case 'crash-app':
        if (!app.process.up) return
        app.crash()
        return this.#restart(app.process, app.main)
      case 'close-app':
        return void app.close().then(() => {
          if (!app.process.up) this.#restart(app.process, app.main)
        })
      case 'part-app': {
        const process = app.process
        network.part(process, server.process)
        return void world.at(this.#duration(), () => network.heal(process, server.process))
      }
      case 'cut-app':
        return network.cut(app.process, server.process)
      case 'cut-target':
        return network.cut(random.pick([app.process, server.process]), db.process)
      case 'stop-server':
        server.process.stop()
        return void world.at(random.between(5, 150), () => server.process.cont())
      case 'crash-server':
        return this.#bounce(server)
      case 'crash-worker':
        return worker === undefined ? undefined : this.#bounce(worker)
      case 'crash-target':
        if (!db.process.up) return
        db.crash()
        checker.targetCrashed()
        return void world.at(random.between(5, 40), () => db.restart())
      case 'backup':
        this.#backup = this.#o.store.backup()
        return
      case 'restore':
        return this.#restore()
    }
  }

  /** Short, or longer than a lease. */
  #duration(): number {
    const { random } = this.#o.world
    return random.chance(0.5) ? random.between(5, 60) : random.between(300, 1_200)
  }

  #stop(app: Application): void {
    const process = app.process
    process.stop()
    this.#o.world.at(this.#duration(), () => process.cont())
  }

  #restart(process: SimProcess, main: () => void): void {
    const { world } = this.#o
    world.at(world.random.between(5, 150), () => {
      if (!process.up) process.restart(main)
    })
  }

  #bounce(server: SimServer): void {
    if (!server.process.up) return
    server.process.crash()
    this.#restart(server.process, server.main)
  }

  get #migration(): StoredMigration | undefined {
    return this.#o.store.content.migrations.get(MIGRATION)
  }

  /** Asked of the server, if it is there. */
  #command(command: Command, times = 1): void {
    const { server } = this.#o
    if (!this.#mayCommand()) return
    this.#ask(async () => {
      const { phases } = server
      for (let i = 0; i < times && phases !== undefined; i++) {
        const result = await phases.command(MIGRATION, command, PERSON)
        this.#told(command, result)
        if (!result.ok) return
      }
    })
  }

  #ask(work: () => Promise<void>): void {
    const { server, world } = this.#o
    server.process.at(0, () => void work().catch((error: unknown) => world.fail(error)))
  }

  #mayCommand(): boolean {
    const { apps, server } = this.#o
    if (this.#waitsForFleet) {
      this.#waitsForFleet = !server.open || apps.some((app) => app.process.up && !app.registered)
    }
    return server.process.up && server.phases !== undefined && !this.#waitsForFleet
  }

  /** I5: one commit, whatever the fleet does; how often the store is asked is counted. */
  #revert(to: Phase | undefined, cause: Extract<Command, { type: 'revert' }>['cause']): void {
    const { server, world, mutant } = this.#o
    if (!this.#mayCommand()) return
    this.#ask(async () => {
      let asks = 0
      const phases = server.phasesOver(
        countAsks(server.phaseStore, () => {
          if (++asks > REVERT_ASKS) {
            world.fail(new Violation('I5', `a revert has asked the store ${asks} times and is not committed`))
          }
        }),
        mutant === 'revert-waits-for-acks',
      )
      const before = this.#migration
      const command = { type: 'revert', cause, ...(to === undefined ? {} : { to }) } as const
      const result = await phases.command(MIGRATION, command, cause.kind === 'manual' ? PERSON : PIPELINE)
      this.#told(command, result)
      this.#mustTakeEffect(before, result)
    })
  }

  /** Where everyone writes both, reads come off new at once. */
  #mustTakeEffect(before: StoredMigration | undefined, result: CommandResult): void {
    if (before === undefined) return
    const { phase, epoch, complete, history, work } = before.state
    const exposed = phase === 'ramp' || phase === 'promoted' || phase === 'shadow' || phase === 'backfill'
    const everyoneWritesBoth = history.every(({ routing }) => writtenPaths(routing).length === 2)
    if (!exposed || !complete.old || !everyoneWritesBoth || work?.committing === true) return
    if (result.ok) {
      const { state } = result.migration
      if (phaseIndex(state.phase) <= phaseIndex('dual-write')) return
      // Somebody else's step came first.
      if (state.epoch > epoch + 1) return
    } else if (this.#migration?.state.epoch !== epoch || result.refusal.code === 'already-latched') return
    const why = result.ok ? `it stands at ${result.migration.state.phase}` : result.refusal.message
    throw new Violation('I5', `a revert from ${phase} did not take effect: ${why}`)
  }

  #told(command: Command, result: CommandResult): void {
    const { world } = this.#o
    world.note('person', () => {
      const { state } = (result.ok ? result.migration : this.#migration) ?? { state: undefined }
      const answer = result.ok
        ? `${state?.phase}, epoch ${state?.epoch}`
        : `refused, ${result.refusal.code}: ${result.refusal.message}`
      return `${JSON.stringify(command)} → ${answer}`
    })
  }

  /** Takes off the books what is certainly gone, as a person would who has looked. */
  #forgetTheDead(): void {
    const { apps, registry, server, store, checker, world } = this.#o
    if (!this.#mayCommand() || !world.random.chance(0.6)) return
    const alive = new Set(apps.flatMap((app) => (app.process.up ? (app.instance ?? []) : [])))
    if (apps.some((app) => app.process.up && app.instance === undefined)) return
    for (const id of store.content.instances.keys()) {
      const name = id.split(/[.~]/)[0] ?? id
      if (alive.has(id) || checker.hasOpen(name)) continue
      world.note('person', () => `forgets ${id}`)
      this.#ask(() => registry.forget(server.process, id))
    }
  }

  /** Servers down, an older store, servers up: what the handbook says. */
  #restore(): void {
    const { store, server, worker, world, db, checker, mutant } = this.#o
    const backup = this.#backup
    const state = this.#migration?.state
    const old = backup?.migrations.get(MIGRATION)?.state
    if (backup === undefined || state === undefined || old === undefined || old.epoch === state.epoch) return
    // What was committed in the last moments and never reached the target cannot be known from it.
    const seen = db.committed(FENCES).get(MIGRATION)?.seen ?? 0
    if (mutant !== 'epoch-reused-after-restore' && seen < state.epoch) return
    this.#backup = undefined
    this.#waitsForFleet = true
    server.process.crash()
    worker?.process.crash()
    world.at(8, () => {
      // A commit that was under way when the servers died has arrived by now.
      if (mutant !== 'epoch-reused-after-restore') {
        const present = this.#migration?.state.epoch ?? 0
        if (seen < present) return this.#restartServers()
      }
      store.restore(backup)
      checker.restored()
      this.#restartServers()
    })
  }

  #restartServers(): void {
    const { server, worker } = this.#o
    if (!server.process.up) server.process.restart(server.main)
    if (worker !== undefined && !worker.process.up) worker.process.restart(worker.main)
  }
}
