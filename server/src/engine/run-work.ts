import type { InstanceFacts, MigrationDefinition, Throttle, Work } from '@switchback/migrations-registry'
import { reliesOnDrain, throttleOf, undrained } from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { Execution, WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import type { PhaseService, StoredMigration, WorkProgress } from '../phases/phase-service.ts'
import { isTransient } from '../target/execution-error.ts'

export interface WorkRunnerDeps {
  readonly phases: PhaseService
  /** The execution of a migration; throws a clear error where a target of it is not configured. */
  readonly executionFor: (definition: MigrationDefinition) => Execution
  readonly instancesOf: (migration: StoredMigration) => Promise<readonly InstanceFacts[]>
  readonly works: {
    progress(work: WorkId, progress: WorkProgress): Promise<void>
    end(work: WorkId, end: { result: Readonly<Record<string, unknown>> } | { error: string }): Promise<void>
  }
  /** Why a statement that holds up traffic may not begin now. */
  readonly notNow?: (migration: StoredMigration, kind: Work['kind']) => Promise<string | undefined>
  readonly clock: Clock
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>
  readonly onFault: (error: unknown, during: string) => void
}

export interface WorkId {
  readonly migration: string
  readonly kind: Work['kind']
  readonly epoch: number
}

export interface WorkRunner {
  /** Starts the work that the migration asks for, unless it runs here already. */
  start(migration: StoredMigration): void
  /** Aborts what is not asked for any more, and takes note of pauses. */
  keepOnly(migrations: readonly StoredMigration[]): void
  onEnded(listener: () => void): void
  stop(): Promise<void>
}

interface Running {
  readonly work: WorkId
  readonly abort: AbortController
  readonly ended: Promise<void>
  heldBackBy: string | undefined
  throttle: Throttle
}

const ENGINE = { name: 'engine' }
const DRAIN_POLL_MS = 100
/** How long work that ends by faults that pass is begun again before it counts as failed. */
const GOES_ON_MS = 600_000
const LONGEST_PAUSE_MS = 15_000
export const TRIGGERS_WERE_GONE =
  'triggers were gone or off; they are back, but what was written meanwhile has to be found by verification'
const nameOf = ({ migration, kind, epoch }: WorkId): string => `${migration} ${kind} ${epoch}`
const sameWork = (id: WorkId, work: Work | undefined): boolean =>
  work !== undefined &&
  work.kind === id.kind &&
  work.epoch === id.epoch &&
  (work.status === 'pending' || work.status === 'running')

export function createWorkRunner(deps: WorkRunnerDeps): WorkRunner {
  const { phases } = deps
  const running = new Map<string, Running>()
  /** Since when work ends by faults that pass, and how often it has. */
  const failing = new Map<string, { readonly since: number; readonly times: number }>()
  let ended = () => {}

  /** Work can be taken up where it stands, so what somebody in the way or a broken connection has ended is begun
   *  again by the timer, after these milliseconds; undefined where that has lasted, and a person is to see to it. */
  function pauseBeforeNext(work: WorkId): number | undefined {
    const { since, times } = failing.get(nameOf(work)) ?? { since: deps.clock(), times: 0 }
    failing.set(nameOf(work), { since, times: times + 1 })
    if (deps.clock() - since >= GOES_ON_MS) return undefined
    // Each beginning is in the audit log: a target that is away for minutes must not fill it.
    return times === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, DRAIN_POLL_MS * 2 ** times)
  }

  async function run(
    migration: StoredMigration,
    work: WorkId,
    signal: AbortSignal,
    now: Pick<Running, 'heldBackBy' | 'throttle'>,
  ): Promise<boolean> {
    const execution = deps.executionFor(migration.definition)
    const done = await execution.exclusively(work.migration, async (lockSignal) => {
      const both = AbortSignal.any([signal, lockSignal])
      const { kind, epoch } = work
      // Another process may have ended it between our look and our lock.
      const started = await phases.command(work.migration, { type: 'work-started', kind, epoch }, ENGINE)
      if (!started.ok) return true
      const report = reporter(work)
      try {
        report({ stage: 'starting' })
        await execution.prepare(work.migration)
        if (reliesOnDrain(kind)) await drainAndPass(started.migration, execution, both, report)
        await carryFor(started.migration, kind, execution, both, report)
        const order = orderOf(started.migration, work, now, both, report)
        const outcome = await execution.run(kind, order)
        await report.settled()
        failing.delete(nameOf(work))
        await deps.works.end(work, { result: { ...outcome.detail, divergences: outcome.divergences } })
        await phases.command(
          work.migration,
          { type: 'work-done', kind, epoch, ...told(outcome), detail: audited(outcome) },
          ENGINE,
        )
      } catch (error) {
        await report.settled()
        // Called off, or the server stops: whoever looks next takes it up where it stands.
        if (both.aborted) return true
        const message = error instanceof Error ? error.message : String(error)
        deps.onFault(error, `${kind} of ${work.migration}`)
        const pause = isTransient(error) ? pauseBeforeNext(work) : undefined
        if (pause !== undefined) {
          report({ stage: 'trying again', throttledBy: message })
          await report.settled()
          await deps.delay(pause, both)
          return false
        }
        failing.delete(nameOf(work))
        await deps.works.end(work, { error: message })
        await phases.command(work.migration, { type: 'work-failed', kind, epoch, error: message }, ENGINE)
      }
      return true
    })
    if (done === undefined && work.kind === 'backfill') {
      // Another process leads it; ranges of it may be had for the asking.
      await execution.assist(orderOf(migration, work, now, signal, () => {})).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    }
    return done === true
  }

  const orderOf = (
    stored: StoredMigration,
    { migration, kind, epoch }: WorkId,
    now: Pick<Running, 'heldBackBy' | 'throttle'>,
    signal: AbortSignal,
    report: WorkOrder['report'],
  ): WorkOrder => ({
    definition: stored.definition,
    sql: stored.sql,
    epoch,
    signal,
    report,
    heldBackBy: () => now.heldBackBy,
    throttle: () => now.throttle,
    ...(stored.state.work?.anytime === true || deps.notNow === undefined
      ? {}
      : { notNow: () => deps.notNow?.(stored, kind) ?? Promise.resolve(undefined) }),
    committing: async () => {
      signal.throwIfAborted()
      const asked = await phases.command(migration, { type: 'work-committing', kind, epoch }, ENGINE)
      if (!asked.ok) throw new Error(asked.refusal.message)
    },
  })

  /** I3: nothing of an older epoch is in flight; proven by the acks of the living and by the fence for the rest. */
  async function drainAndPass(
    migration: StoredMigration,
    execution: Execution,
    signal: AbortSignal,
    report: (progress: WorkProgress) => void,
  ): Promise<void> {
    const { definition, state } = migration
    for (;;) {
      signal.throwIfAborted()
      const instances = await deps.instancesOf(migration)
      const late = undrained(definition, state, { now: deps.clock(), instances })
      if (late.length === 0) break
      report({
        stage: 'waiting for drain',
        throttledBy: late
          .map(({ id }) => id)
          .slice(0, 10)
          .join(', '),
      })
      await deps.delay(DRAIN_POLL_MS, signal)
    }
    if (!definition.fence) return
    for (;;) {
      signal.throwIfAborted()
      const fence = await execution.passFence(definition.id, state.epoch, signal)
      if (fence.passed) break
      const holders = fence.holders.map((holder) => `backend ${holder.pid} (${holder.application})`)
      report({ stage: 'waiting for the fence', throttledBy: holders.join(', ') })
    }
    await phases.command(definition.id, { type: 'fence-passed', epoch: state.epoch }, ENGINE)
  }

  /** Work that relies on every write reaching both tables begins when triggers see to it; work that takes a
   *  table away, when none is left that writes it. */
  async function carryFor(
    { definition, state }: StoredMigration,
    kind: Work['kind'],
    execution: Execution,
    signal: AbortSignal,
    report: (progress: WorkProgress) => void,
  ): Promise<void> {
    if (definition.writes !== 'trigger' || !reliesOnDrain(kind)) return
    const on = kind !== 'rollback' && kind !== 'contract'
    const tell = (throttledBy: string | undefined) =>
      report({
        stage: on ? 'installing triggers' : 'removing triggers',
        ...(throttledBy === undefined ? {} : { throttledBy }),
      })
    let carried = await execution.carry(definition, on, { epoch: state.epoch, signal, tell })
    while (carried === 'stale') {
      // Another epoch has come, for a share or a flag; work that it calls off is aborted.
      await deps.delay(DRAIN_POLL_MS, signal)
      signal.throwIfAborted()
      const epoch = (await phases.get(definition.id))?.state.epoch ?? state.epoch
      carried = await execution.carry(definition, on, { epoch, signal, tell })
    }
    if (carried === 'damaged') deps.onFault(new Error(TRIGGERS_WERE_GONE), `triggers of ${definition.id}`)
  }

  /** Progress is written one report at a time and the newest wins: a slow store must not pile reports up. */
  function reporter(work: WorkId): ((progress: WorkProgress) => void) & { settled: () => Promise<void> } {
    let next: WorkProgress | undefined
    let writing: Promise<void> | undefined
    const write = async () => {
      while (next !== undefined) {
        const progress = next
        next = undefined
        await deps.works.progress(work, progress).catch((error: unknown) => deps.onFault(error, 'progress'))
      }
      writing = undefined
    }
    const report = (progress: WorkProgress) => {
      next = progress
      writing ??= write()
    }
    return Object.assign(report, { settled: async () => await writing })
  }

  return {
    start: (migration) => {
      const { work } = migration.state
      const { id } = migration.definition
      if (work === undefined || running.has(id)) return
      const abort = new AbortController()
      const workId = { migration: id, kind: work.kind, epoch: work.epoch }
      const entry: Running = {
        work: workId,
        abort,
        heldBackBy: heldBackBy(migration),
        throttle: throttleNow(migration),
        ended: Promise.resolve()
          .then(() => run(migration, workId, abort.signal, entry))
          .catch((error: unknown) => {
            deps.onFault(error, `${work.kind} of ${id}`)
            return false
          })
          .then((done) => {
            running.delete(id)
            // Where another process holds the lock, or the target is away, the timer looks again.
            if (done) ended()
          }),
      }
      running.set(id, entry)
    },
    keepOnly: (migrations) => {
      const byId = new Map(migrations.map((migration) => [migration.definition.id, migration]))
      for (const [id, entry] of running) {
        const migration = byId.get(id)
        if (migration === undefined || !sameWork(entry.work, migration.state.work)) entry.abort.abort()
        else {
          entry.heldBackBy = heldBackBy(migration)
          entry.throttle = throttleNow(migration)
        }
      }
    },
    onEnded: (listener) => {
      ended = listener
    },
    stop: async () => {
      for (const entry of running.values()) entry.abort.abort()
      await Promise.all([...running.values()].map((entry) => entry.ended))
    },
  }
}

const throttleNow = ({ definition, state }: StoredMigration): Throttle =>
  throttleOf(definition.copy?.throttle, state.throttle)

const told = ({ divergences, compared }: WorkOutcome) => ({
  divergences,
  ...(compared === undefined ? {} : { compared }),
})

/** What goes into the audit log: what was proven and how, but none of the rows' own values. */
function audited({ detail }: WorkOutcome): Readonly<Record<string, unknown>> {
  const { mismatches, faults, ...rest } = detail
  return {
    ...rest,
    ...(Array.isArray(mismatches) ? { mismatches: mismatches.length } : {}),
    ...(Array.isArray(faults) ? { faults: faults.length } : {}),
  }
}

function heldBackBy({ state }: StoredMigration): string | undefined {
  if (state.paused) return 'paused by a person'
  return state.backfillOn ? undefined : 'the backfill flag is off'
}
