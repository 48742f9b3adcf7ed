import {
  type ApplicationLatency,
  applicationLatencies,
  applicationP99,
  atLeast,
  autopilotHolds,
  connectionErrors,
  createWindows,
  evaluateTripwires,
  type Judgement,
  judgeRecovery,
  latestExposed,
  type Measurement,
  sharingTables,
  spansOf,
  type TripwireFacts,
  type TripwireVerdict,
  type Windows,
} from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'
import type { DatabaseSignals } from './database-signals.ts'
import type { Respond } from './respond.ts'

/** Watches what is measured, and does what tripwires say. */
export interface Monitor {
  take(measurements: readonly Measurement[], at: number): void
  /** Definitions or states have changed. */
  changed(): void
  /** What every tripwire of a migration says at this moment. */
  verdicts(migration: StoredMigration): readonly TripwireVerdict[]
  /** Why autopilot has to wait; empty where it need not. */
  holds(migration: StoredMigration): readonly string[]
  /** Live instances that use a migration, counted now. */
  live(migration: string): Promise<number>
  /** Whether the path that serves is under the limits for errors. */
  recovery(migration: StoredMigration): Promise<Judgement | undefined>
  /** The application's own p99 of the last moments in ms; undefined where nothing was measured. */
  latencyP99(migration: string): number | undefined
  /** What each kind of operation of the application took since then. */
  latencies(migration: string, since: number): readonly ApplicationLatency[]
  /** How far back measurements are of use, in ms. */
  reach(): number
  /** Learns of the migrations there are, so that nothing that is told from now on is passed over. */
  start(): Promise<void>
  stop(): Promise<void>
}

export interface MonitorDeps {
  readonly phases: Pick<PhaseService, 'list'>
  readonly clock: Clock
  readonly respond: Respond
  /** Live instances with handlers, by migration. */
  readonly countLive: () => Promise<ReadonlyMap<string, number>>
  readonly database: DatabaseSignals
  readonly breaches: {
    open(): Promise<readonly { readonly migration: string; readonly tripwire: string }[]>
    end(migration: string, tripwire: string, at: number): Promise<void>
  }
  readonly onFault: (error: unknown, during: string) => void
  /** How often to look without having been told of anything, in ms. */
  readonly everyMs?: number
}

const EVERY_MS = 1000
/** What arrives within this time is looked at together. */
const TOGETHER_MS = 20
const COUNT_MS = 5000

interface Watched {
  readonly checksum: string
  readonly windows: Windows
}

/** Where several use the table that a signal of the database speaks of, the one exposed last is reverted. */
function amongShared(
  verdict: TripwireVerdict,
  migration: StoredMigration,
  known: Iterable<StoredMigration>,
): TripwireVerdict {
  if (verdict.tripwire.watch !== 'database' || verdict.action !== 'revert') return verdict
  const exposed = [...known].filter(({ state }) => atLeast(state.phase, 'dual-write'))
  const group = sharingTables(exposed).find((each) => each.includes(migration)) ?? [migration]
  const latest = group.length === 1 ? migration : latestExposed(group)
  if (latest === migration) return verdict
  const others = group.map(({ definition }) => definition.id).filter((id) => id !== migration.definition.id)
  const why = latest === undefined ? 'one was reverted already' : `${latest.definition.id} was changed last`
  const explanation = `${verdict.explanation} ${others.join(', ')} uses the same table, and ${why}.`
  return { ...verdict, action: migration.state.paused ? 'none' : 'pause', explanation }
}

export function createMonitor(deps: MonitorDeps): Monitor {
  const { phases, clock, onFault } = deps
  const listeningSince = clock()
  const watched = new Map<string, Watched>()
  let known = new Map<string, StoredMigration>()
  let stale = true
  let live: ReadonlyMap<string, number> = new Map()
  let countedAt = Number.NEGATIVE_INFINITY
  const touched = new Set<string>()
  /** Breaches that go on, as this server knows; `migration tripwire`. */
  const open = new Set<string>()
  const acting = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let soon: NodeJS.Timeout | undefined
  let round: Promise<void> | undefined
  let again = false
  let stopped = false

  async function refresh(): Promise<void> {
    if (!stale) return
    stale = false
    try {
      const all = await phases.list()
      known = new Map(all.map((migration) => [migration.definition.id, migration]))
    } catch (error) {
      stale = true
      throw error
    }
    for (const id of watched.keys()) if (!known.has(id)) watched.delete(id)
    for (const migration of known.values()) windowsOf(migration)
  }

  function windowsOf({ definition, checksum }: StoredMigration): Windows {
    let entry = watched.get(definition.id)
    if (entry?.checksum !== checksum) {
      entry = { checksum, windows: createWindows(spansOf(definition)) }
      watched.set(definition.id, entry)
    }
    return entry.windows
  }

  const liveOf = (id: string): number => live.get(id) ?? 0
  const factsOf = (migration: StoredMigration): TripwireFacts => ({
    now: clock(),
    windows: windowsOf(migration),
    database: deps.database.of(migration.definition.id),
    live: liveOf(migration.definition.id),
    listeningSince,
  })
  const evaluate = (migration: StoredMigration): readonly TripwireVerdict[] =>
    evaluateTripwires(migration.definition, migration.state, factsOf(migration))

  async function judge(migration: StoredMigration): Promise<void> {
    const { id } = migration.definition
    const seenAt = clock()
    const acts: Promise<void>[] = []
    for (const found of evaluate(migration)) {
      const verdict = amongShared(found, migration, known.values())
      const key = `${id} ${verdict.name}`
      if (verdict.outcome === 'fine' && open.has(key)) {
        await deps.breaches.end(id, verdict.name, seenAt)
        open.delete(key)
      }
      const isToBeTold = verdict.action !== 'none' || verdict.reason === 'dry-run'
      // What was told of as the fault of both may turn out to be that of new.
      const isKnown = open.has(key) && verdict.action !== 'revert'
      if (!isToBeTold || isKnown || acting.has(key)) continue
      acting.add(key)
      acts.push(
        deps
          .respond(migration, verdict, seenAt)
          .then(() => {
            // What was reverted begins anew after a re-arm, with windows of its own.
            if (verdict.action === 'revert') open.delete(key)
            else open.add(key)
          })
          .catch((error: unknown) => onFault(error, `a breach of ${id}`))
          .finally(() => acting.delete(key)),
      )
      // One revert is enough, and what else is breached may look different after it.
      if (verdict.action === 'revert') break
    }
    await Promise.all(acts)
  }

  async function look(ids: readonly string[]): Promise<void> {
    await refresh()
    for (const id of ids) {
      const migration = known.get(id)
      if (migration === undefined || stopped) continue
      await judge(migration)
    }
  }

  function run(): void {
    soon = undefined
    if (round !== undefined) {
      again = true
      return
    }
    const ids = [...touched]
    touched.clear()
    round = look(ids)
      .catch((error: unknown) => onFault(error, 'tripwires'))
      .finally(() => {
        round = undefined
        if (again && !stopped) {
          again = false
          run()
        }
      })
  }

  /** All of them, now and then: what is missing does not announce itself. */
  async function lookAround(): Promise<void> {
    try {
      if (clock() - countedAt >= COUNT_MS) {
        countedAt = clock()
        live = await deps.countLive()
      }
    } catch (error) {
      onFault(error, 'counting live instances')
    }
    await Promise.all(
      [...known.values()].map((migration) => {
        const failures = connectionErrors(windowsOf(migration), clock())
        return deps.database.read(migration.definition, failures)
      }),
    )
    for (const id of known.keys()) touched.add(id)
    run()
  }

  return {
    take(measurements, at) {
      for (const measurement of measurements) {
        const { migration } = measurement
        const entry = watched.get(migration)
        const state = known.get(migration)?.state
        if (entry === undefined || state === undefined || measurement.epoch < state.run.epoch) continue
        entry.windows.add(measurement, at)
        touched.add(migration)
      }
      if (touched.size > 0 && !stopped) soon ??= setTimeout(run, TOGETHER_MS)
    },
    changed() {
      stale = true
      if (!stopped) soon ??= setTimeout(run, TOGETHER_MS)
    },
    verdicts: evaluate,
    holds: (migration) => autopilotHolds(evaluate(migration), liveOf(migration.definition.id)),
    live: async (id) => {
      live = await deps.countLive()
      return liveOf(id)
    },
    recovery: async (migration) => {
      // An old count could say that nobody is there, and so that there is nothing to look at.
      live = await deps.countLive()
      return judgeRecovery(migration.definition, migration.state, factsOf(migration))
    },
    latencyP99: (id) => {
      const entry = watched.get(id)
      return entry === undefined ? undefined : applicationP99(entry.windows, clock())
    },
    latencies: (id, since) => {
      const entry = watched.get(id)
      return entry === undefined ? [] : applicationLatencies(entry.windows, clock(), since)
    },
    reach: () => {
      const spans = [...known.values()].flatMap(({ definition }) => [...spansOf(definition)])
      return spans.reduce((longest, [window, inARow]) => Math.max(longest, window * inARow), 0)
    },
    start: async () => {
      try {
        await refresh()
        live = await deps.countLive()
        for (const { migration, tripwire } of await deps.breaches.open()) open.add(`${migration} ${tripwire}`)
      } catch (error) {
        onFault(error, 'tripwires')
      }
      if (!stopped) timer = setInterval(() => void lookAround(), deps.everyMs ?? EVERY_MS)
    },
    stop: async () => {
      stopped = true
      clearInterval(timer)
      clearTimeout(soon)
      await round
    },
  }
}
