import type { MigrationDefinition } from '@switchback/migrations-registry'
import { atLeast } from '@switchback/migrations-registry'
import type { Execution } from '../execution/execution-port.ts'
import type { Comparison, PhaseService, StoredMigration } from '../phases/phase-service.ts'
import { TRIGGERS_WERE_GONE, type WorkRunner } from './run-work.ts'

export interface EngineDeps {
  readonly phases: PhaseService
  readonly runner: WorkRunner
  /** The execution of a target; throws a clear error where the target is not configured. */
  readonly executionFor: (definition: MigrationDefinition) => Pick<Execution, 'carry'>
  /** Why autopilot has to wait although the gate is open: what is measured says so, or cannot tell. */
  readonly holds: (migration: StoredMigration) => readonly string[]
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
  /**
   * Compares every migration once with what its target remembers, and takes up what the store has forgotten.
   * To be waited for, for a bounded time, before instances are told anything: a restored store would tell
   * them to serve a path that is not written any more. Never rejects.
   */
  firstLook(): Promise<void>
  /** Stops taking work, aborts what runs at its next safe point and waits for it. */
  stop(): Promise<void>
}

const ENGINE = { name: 'engine' }
const ROUNDS_BETWEEN_LOOKS = 20

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
  /** Revision at which the target was told of a migration's state. */
  const told = new Map<string, number>()

  const carrying = new Map<string, Promise<unknown>>()
  const carried = new Map<string, { readonly revision: number; readonly round: number }>()
  const stopping = new AbortController()
  let rounds = 0

  async function look(): Promise<void> {
    rounds += 1
    const migrations = await phases.list()
    runner.keepOnly(migrations)
    for (const migration of migrations) {
      if (stopped) return
      const { state, definition } = migration
      const compared = await compare(migration)
      // What the state asks for must not be begun, nor gone on with, where it may be out of date.
      if (compared !== 'compared') continue
      if (state.work !== undefined && (state.work.status === 'pending' || state.work.status === 'running')) {
        runner.start(migration)
      }
      if (state.pending !== undefined)
        await phases.command(definition.id, { type: 'continue-revert' }, ENGINE)
      if (definition.writes === 'trigger') startCarrying(migration)
      if (mayNeedRepair(migration)) startRepair(migration)
      if (definition.autopilot && wantsToAdvance(migration) && deps.holds(migration).length === 0) {
        const gate = await phases.gate(definition.id)
        if (gate?.open === true) await phases.command(definition.id, { type: 'advance' }, ENGINE)
      }
    }
  }

  /** Tells the target of each state once, and takes up a newer one that it has seen. */
  async function compare(migration: StoredMigration): Promise<Comparison> {
    const { definition, revision } = migration
    // Also where it was told by this server: a store that has gone back since comes to the same revision again.
    if (migration.compared && told.get(definition.id) === revision) return 'compared'
    const compared = await phases.compare(migration)
    if (compared === 'compared') told.set(definition.id, revision)
    return compared === 'unknown' && migration.compared ? 'compared' : compared
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

  /** Has triggers installed or removed as the phase asks; looks again now and then, for who took one away. */
  function startCarrying({ definition, state, revision }: StoredMigration): void {
    const { id } = definition
    const seen = carried.get(id)
    if (carrying.has(id) || (seen?.revision === revision && rounds - seen.round < ROUNDS_BETWEEN_LOOKS))
      return
    const on = atLeast(state.phase, 'dual-write') && !atLeast(state.phase, 'retired')
    const run = deps
      .executionFor(definition)
      .carry(definition, on, { epoch: state.epoch, signal: stopping.signal, tell: () => {} })
      .then((outcome) => {
        carried.set(id, { revision, round: rounds })
        if (outcome === 'damaged') deps.onFault(new Error(TRIGGERS_WERE_GONE), `triggers of ${id}`)
      })
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) deps.onFault(error, `triggers of ${id}`)
      })
      .finally(() => carrying.delete(id))
    carrying.set(id, run)
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
    firstLook: async () => {
      try {
        for (const migration of await phases.list()) await compare(migration)
      } catch (error) {
        deps.onFault(error, 'first look at the targets')
      }
    },
    stop: async () => {
      stopped = true
      stopLooking()
      stopping.abort()
      await round
      await runner.stop()
      await Promise.all([...repairing.values(), ...carrying.values()])
    },
  }
}

const mayNeedRepair = ({ definition, state }: StoredMigration): boolean =>
  definition.copy !== undefined && atLeast(state.phase, 'dual-write') && state.phase !== 'contracted'

/** Contract drops data: it is never begun by itself (I7). */
const wantsToAdvance = ({ state }: StoredMigration): boolean =>
  state.latch === undefined && state.pending === undefined && !state.paused && state.phase !== 'retired'
