import { atLeast } from '@switchback/migrations-registry'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'
import type { WorkRunner } from './run-work.ts'

export interface EngineDeps {
  readonly phases: PhaseService
  readonly runner: WorkRunner
  /** Copies keys that wait for repair; returns how many were done. */
  readonly repair: (migration: StoredMigration) => Promise<number>
  /** Called for faults that belong to no work, such as an unreachable store. */
  readonly onFault: (error: unknown, during: string) => void
  /** How often to look without having been woken, in ms. */
  readonly intervalMs: number
  /** Calls `task` every `ms` until the returned function is called. */
  readonly every: (ms: number, task: () => void) => () => void
}

export interface Engine {
  /** Looks at once; called after every change and when positions of instances have moved. */
  wake(): void
  /** Stops taking work, aborts what runs at its next safe point and waits for it. */
  stop(): Promise<void>
}

const ENGINE = { name: 'engine' }

/**
 * The loop that makes the world follow the state: it derives what each migration asks for (work, a further
 * step back, repairs, the next step under autopilot) and does that. Nothing is remembered between rounds, so
 * a crash at any point is resumed by whoever looks next.
 */
export function createEngine(deps: EngineDeps): Engine {
  const { phases, runner } = deps
  let stopped = false
  let round: Promise<void> | undefined
  let again = false
  const repairing = new Map<string, Promise<void>>()

  async function look(): Promise<void> {
    const migrations = await phases.list()
    runner.keepOnly(migrations)
    for (const migration of migrations) {
      if (stopped) return
      const { state, definition } = migration
      if (state.work !== undefined && (state.work.status === 'pending' || state.work.status === 'running')) {
        runner.start(migration)
      }
      if (state.pending !== undefined)
        await phases.command(definition.id, { type: 'continue-revert' }, ENGINE)
      if (mayNeedRepair(migration)) startRepair(migration)
      if (definition.autopilot && wantsToAdvance(migration)) {
        const gate = await phases.gate(definition.id)
        if (gate?.open === true) await phases.command(definition.id, { type: 'advance' }, ENGINE)
      }
    }
  }

  /** One repair run per migration at a time; goes on while it finds keys. */
  function startRepair(migration: StoredMigration): void {
    const { id } = migration.definition
    if (repairing.has(id)) return
    const run = deps
      .repair(migration)
      .then((done) => {
        if (done > 0) again = true
      })
      .catch((error: unknown) => deps.onFault(error, `repair of ${id}`))
      .finally(() => {
        repairing.delete(id)
        if (again) wake()
      })
    repairing.set(id, run)
  }

  function wake(): void {
    if (stopped) return
    if (round !== undefined) {
      again = true
      return
    }
    again = false
    round = look()
      .catch((error: unknown) => deps.onFault(error, 'engine round'))
      .finally(() => {
        round = undefined
        if (again) wake()
      })
  }

  const stopLooking = deps.every(deps.intervalMs, wake)
  runner.onEnded(wake)
  return {
    wake,
    stop: async () => {
      stopped = true
      stopLooking()
      await round
      await runner.stop()
      await Promise.all(repairing.values())
    },
  }
}

const mayNeedRepair = ({ definition, state }: StoredMigration): boolean =>
  definition.copy !== undefined && atLeast(state.phase, 'dual-write') && state.phase !== 'contracted'

/** Contract drops data: it is never begun by itself (I7). */
const wantsToAdvance = ({ state }: StoredMigration): boolean =>
  state.latch === undefined && state.pending === undefined && !state.paused && state.phase !== 'retired'
