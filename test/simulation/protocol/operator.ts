import type { Database } from '../database/database.ts'
import type { Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'
import type { Application } from './application.ts'
import { Commands, type CommandsOptions } from './commands.ts'
import type { Scenario } from './scenario.ts'
import type { SimServer } from './server.ts'
import type { StoreContent } from './store-content.ts'
import { FENCES, MIGRATION } from './tables.ts'
import { type Action, drawAction } from './themes.ts'

export interface OperatorOptions extends CommandsOptions {
  readonly network: Network
  readonly db: Database
  readonly worker: SimServer | undefined
  readonly scenario: Scenario
}

/** About as long as a lease lasts. */
export const STRAGGLING_MS = 300

/** Whoever and whatever acts upon the system: people, pipelines, alerts, and misfortune. */
export class Operator {
  readonly #o: OperatorOptions
  readonly #commands: Commands
  #backup: StoreContent | undefined

  constructor(options: OperatorOptions) {
    this.#o = options
    this.#commands = new Commands(options)
  }

  start(): void {
    const { world, scenario } = this.#o
    const { random } = world
    let at = 30
    if (scenario.straggling) {
      world.at(at + 30, () => this.#straggle())
      at += STRAGGLING_MS
    }
    for (let i = 0; i < scenario.actions; i++) {
      at += random.between(...scenario.actionMs)
      const action = drawAction(random, scenario.likely)
      world.at(at, () => this.#act(action))
    }
    world.at(at + 100, () => this.#act('advance'))
    world.at(at + 250, () => this.#act('advance'))
  }

  #straggle(): void {
    const { network, server, apps } = this.#o
    const straggler = apps[0]?.process
    if (straggler === undefined) return
    network.part(straggler, server.process)
    this.#later(this.#random.between(2 * STRAGGLING_MS, 3 * STRAGGLING_MS), () =>
      network.heal(straggler, server.process),
    )
  }

  #act(action: Action): void {
    const app = this.#o.world.random.pick(this.#o.apps)
    this.#commands.forgetTheDead()
    this.#actions[action](app)
  }

  readonly #actions: Readonly<Record<Action, (app: Application) => void>> = {
    // Steps that are open one after the other are taken so, as a pipeline would.
    advance: () => this.#commands.command({ type: 'advance' }, this.#random.chance(0.6) ? 3 : 1),
    revert: () => this.#commands.revert(undefined, { kind: 'manual', reason: 'asked for' }),
    'revert-far': () =>
      this.#commands.revert(this.#random.pick(['expanded', 'dual-write'] as const), {
        kind: 'manual',
        reason: 'far',
      }),
    alert: () =>
      this.#commands.revert(undefined, { kind: 'alert', reason: 'errors', path: 'new', operation: 'write' }),
    rearm: () => this.#commands.command({ type: 'rearm', reason: 'mended' }),
    retry: () => this.#commands.command({ type: 'retry-work' }),
    'set-share': () => this.#commands.command({ type: 'set-rollout', share: this.#random.pick([0, 0.3, 1]) }),
    pause: () => {
      this.#commands.command({ type: 'pause' })
      this.#later(this.#random.between(10, 100), () => this.#commands.command({ type: 'resume' }))
    },
    approve: () => this.#commands.command({ type: 'approve' }),
    'stop-app': ({ process }) => {
      process.stop()
      this.#later(this.#duration(), () => process.cont())
    },
    'crash-app': (app) => {
      if (!app.process.up) return
      app.crash()
      this.#restart(app.process, app.main)
    },
    'close-app': (app) => {
      void app.close().then(() => {
        if (!app.process.up) this.#restart(app.process, app.main)
      })
    },
    'part-app': ({ process }) => {
      const { network, server } = this.#o
      network.part(process, server.process)
      this.#later(this.#duration(), () => network.heal(process, server.process))
    },
    'cut-app': ({ process }) => this.#o.network.cut(process, this.#o.server.process),
    'cut-target': ({ process }) => {
      const { network, server, db } = this.#o
      network.cut(this.#random.pick([process, server.process]), db.process)
    },
    'stop-server': () => {
      const { process } = this.#o.server
      process.stop()
      this.#later(this.#random.between(5, 150), () => process.cont())
    },
    'crash-server': () => this.#bounce(this.#o.server),
    'crash-worker': () => {
      if (this.#o.worker !== undefined) this.#bounce(this.#o.worker)
    },
    'crash-target': () => {
      const { db, checker } = this.#o
      if (!db.process.up) return
      db.crash()
      checker.targetCrashed()
      this.#later(this.#random.between(5, 40), () => db.restart())
    },
    'jump-clock': () => {
      const { process } = this.#o.server
      process.skew = Math.round(this.#random.between(-500, 500))
      this.#o.world.note(process.name, () => `has a clock that is ${process.skew} ms off`)
    },
    backup: () => {
      this.#backup = this.#o.store.backup()
    },
    restore: () => this.#restore(),
  }

  get #random() {
    return this.#o.world.random
  }

  #later(ms: number, run: () => void): void {
    this.#o.world.at(ms, run)
  }

  /** Short, or longer than a lease. */
  #duration(): number {
    return this.#random.chance(0.5) ? this.#random.between(5, 60) : this.#random.between(300, 1_200)
  }

  #restart(process: SimProcess, main: () => void): void {
    this.#later(this.#random.between(5, 150), () => {
      if (!process.up) process.restart(main)
    })
  }

  #bounce(server: SimServer): void {
    if (!server.process.up) return
    server.process.crash()
    this.#restart(server.process, server.main)
  }

  /** Servers down, an older store, servers up: what the handbook says. */
  #restore(): void {
    const { store, server, worker, db, checker, mutant } = this.#o
    const backup = this.#backup
    const state = this.#commands.migration?.state
    const old = backup?.migrations.get(MIGRATION)?.state
    if (backup === undefined || state === undefined || old === undefined || old.epoch === state.epoch) return
    // What was committed in the last moments and never reached the target cannot be known from it.
    const seen = db.committed(FENCES).get(MIGRATION)?.seen ?? 0
    if (mutant !== 'epoch-reused-after-restore' && seen < state.epoch) return
    this.#backup = undefined
    this.#commands.waitForFleet()
    server.process.crash()
    worker?.process.crash()
    this.#later(8, () => {
      // A commit that was under way when the servers died has arrived by now.
      if (mutant !== 'epoch-reused-after-restore') {
        const present = this.#commands.migration?.state.epoch ?? 0
        if (seen < present) return this.#restartServers()
      }
      store.restore(backup)
      checker.restored()
      if (this.#random.chance(0.5)) this.#partFromTarget()
      this.#restartServers()
    })
  }

  /** The servers come up, and the target does not answer them. */
  #partFromTarget(): void {
    const { network, db, server, worker } = this.#o
    const parted = [server, ...(worker === undefined ? [] : [worker])]
    for (const { process } of parted) network.part(process, db.process)
    this.#later(this.#random.between(50, 300), () => {
      for (const { process } of parted) network.heal(process, db.process)
    })
  }

  #restartServers(): void {
    const { server, worker } = this.#o
    if (!server.process.up) server.process.restart(server.main)
    if (worker !== undefined && !worker.process.up) worker.process.restart(worker.main)
  }
}
