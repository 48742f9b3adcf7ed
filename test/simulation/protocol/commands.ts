import type { Phase } from '@switchback/migrations-registry'
import { phaseIndex, writtenPaths } from '@switchback/migrations-registry'
import type { Command, CommandResult, StoredMigration } from '@switchback/server/protocol'
import type { Checker } from '../invariants/checker.ts'
import { Violation } from '../invariants/violation.ts'
import type { World } from '../world/world.ts'
import type { Application } from './application.ts'
import { countAsks } from './count-asks.ts'
import type { Mutant } from './mutants.ts'
import type { Registry } from './registry.ts'
import type { SimServer } from './server.ts'
import type { SimStore } from './store.ts'
import { MIGRATION } from './tables.ts'

export interface CommandsOptions {
  readonly world: World
  readonly store: SimStore
  readonly registry: Registry
  readonly server: SimServer
  readonly apps: readonly Application[]
  readonly checker: Checker
  readonly mutant: Mutant | undefined
}

type Cause = Extract<Command, { type: 'revert' }>['cause']

/** What a store is told that has not been compared with its target. */
const DOUBTS = ['target-not-compared', 'store-was-behind']
const PERSON = { name: 'person' }
/** Who takes a step cannot approve it. */
const SECOND_PERSON = { name: 'second person' }
const PIPELINE = { name: 'alerts' }

/** What people, pipelines and alerts ask of the server, if it is there. */
export class Commands {
  readonly #o: CommandsOptions
  /** After a restore nobody commands anything before every process is registered again. */
  #waitsForFleet = false

  constructor(options: CommandsOptions) {
    this.#o = options
  }

  waitForFleet(): void {
    this.#waitsForFleet = true
  }

  get migration(): StoredMigration | undefined {
    return this.#o.store.content.migrations.get(MIGRATION)
  }

  /** Ends at the first refusal. */
  command(command: Command, times = 1): void {
    const { server } = this.#o
    if (!this.#mayCommand()) return
    const by = command.type === 'approve' ? SECOND_PERSON : PERSON
    this.#ask(async () => {
      const { phases } = server
      for (let i = 0; i < times && phases !== undefined; i++) {
        const result = await phases.command(MIGRATION, command, by)
        this.#told(command, result)
        if (!result.ok) return
      }
    })
  }

  /** I5: one commit, whatever the fleet does; what it asks of the store is counted. */
  revert(to: Phase | undefined, cause: Cause): void {
    const { server, world, mutant } = this.#o
    if (!this.#mayCommand()) return
    this.#ask(async () => {
      const phases = server.phasesOver(
        countAsks(server.phaseStore, (what) => world.fail(new Violation('I5', `a revert ${what}`))),
        mutant === 'revert-waits-for-acks',
      )
      const before = this.#o.store.find(MIGRATION)
      const command = { type: 'revert', cause, ...(to === undefined ? {} : { to }) } as const
      const result = await phases.command(MIGRATION, command, cause.kind === 'manual' ? PERSON : PIPELINE)
      this.#told(command, result)
      this.#mustTakeEffect(before, result)
    })
  }

  /** Takes off the books what is certainly gone, as a person would who has looked. */
  forgetTheDead(): void {
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

  #ask(work: () => Promise<void>): void {
    const { server, world } = this.#o
    server.process.at(0, () => void work().catch((error: unknown) => world.fail(error)))
  }

  #mayCommand(): boolean {
    const { apps, server } = this.#o
    if (this.#waitsForFleet) {
      this.#waitsForFleet = !server.open || apps.some((app) => app.process.up && !app.registered)
    }
    // What is asked before the store has been compared with the target is refused, whoever is registered.
    const compared = this.#o.store.find(MIGRATION)?.compared === true
    return server.process.up && server.open && !(compared && this.#waitsForFleet)
  }

  /** Where everyone writes both, reads come off new at once. */
  #mustTakeEffect(before: StoredMigration | undefined, result: CommandResult): void {
    if (before === undefined) return
    // Refused while the store may be out of date, and only then.
    const doubted = !result.ok && DOUBTS.includes(result.refusal.code)
    if (doubted && !before.compared) return
    const { phase, epoch, complete, history, work } = before.state
    const exposed = phase === 'ramp' || phase === 'promoted' || phase === 'shadow' || phase === 'backfill'
    const everyoneWritesBoth = history.every(({ routing }) => writtenPaths(routing).length === 2)
    if (!exposed || !complete.old || !everyoneWritesBoth || work?.committing === true) return
    if (result.ok) {
      const { state } = result.migration
      if (phaseIndex(state.phase) <= phaseIndex('dual-write')) return
      // Somebody else's step came first.
      if (state.epoch > epoch + 1) return
    } else if (this.migration?.state.epoch !== epoch || result.refusal.code === 'already-latched') return
    const why = result.ok ? `it stands at ${result.migration.state.phase}` : result.refusal.message
    throw new Violation('I5', `a revert from ${phase} did not take effect: ${why}`)
  }

  #told(command: Command, result: CommandResult): void {
    const { world } = this.#o
    world.note('person', () => {
      const { state } = (result.ok ? result.migration : this.migration) ?? { state: undefined }
      const answer = result.ok
        ? `${state?.phase}, epoch ${state?.epoch}`
        : `refused, ${result.refusal.code}: ${result.refusal.message}`
      return `${JSON.stringify(command)} → ${answer}`
    })
  }
}
