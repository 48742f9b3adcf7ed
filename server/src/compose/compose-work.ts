import { setTimeout as sleep } from 'node:timers/promises'
import type { Timing } from '@switchback/migrations-registry'
import { notCarriable } from '../carrying/carry.ts'
import { recordChange } from '../changes/record-change.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { pruneAll } from '../engine/prune-archives.ts'
import type { WorkId } from '../engine/run-work.ts'
import { createWorkRunner } from '../engine/run-work.ts'
import { saveEnd, saveProgress } from '../engine/works-store.ts'
import type { FleetReader } from '../fleet/fleet-port.ts'
import { createPhaseService, type TargetFacts } from '../phases/create-phase-service.ts'
import { createPhaseStore, type RevertRecorder } from '../phases/create-phase-store.ts'
import type { PhaseService, StoredMigration, WorkProgress } from '../phases/phase-service.ts'
import { createSchemaBlockers } from '../phases/schema-blockers.ts'
import { createTargetFacts } from '../phases/target-facts.ts'
import { createTimingOf } from '../timing/timing-store.ts'
import type { Targets } from './open-targets.ts'
import type { ServerLog } from './server-log.ts'

export interface WorkDeps {
  readonly holds: (migration: StoredMigration) => readonly string[]
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly fleet: FleetReader
  readonly reverts: RevertRecorder
  /** Windows, freezes and limits by target. */
  readonly timing?: Readonly<Record<string, Timing>>
  readonly targets: Pick<Targets, 'executionFor'>
  readonly announce: (revision: number) => void
  readonly onWorkProgress: (work: WorkId, progress: WorkProgress) => void
  readonly log: ServerLog
}

const REPAIRS_AT_A_TIME = 200
const LOOK_MS = 500
const PRUNE_MS = 3_600_000

/** The service that changes migrations and the engine that does their work; the same in server and worker. */
export function composeWork(deps: WorkDeps): {
  readonly phases: PhaseService
  readonly engine: Engine
  readonly repairs: TargetFacts['repairs']
} {
  const { db, clock, newId, fleet, reverts, targets, announce, log } = deps
  const onFault = (error: unknown, during: string) => log.warn({ err: error, during }, `failed: ${during}`)
  const schema = createSchemaBlockers({
    executionFor: targets.executionFor,
    timingOf: createTimingOf(db, deps.timing ?? {}),
    clock,
    onFault,
  })
  const target = { ...createTargetFacts(targets.executionFor, onFault), ...schema }
  const phases = createPhaseService({
    store: createPhaseStore(db, fleet, reverts),
    clock,
    newId,
    target,
    announce,
    unfit: notCarriable,
  })
  const runner = createWorkRunner({
    phases,
    executionFor: targets.executionFor,
    instancesOf: ({ definition }) => fleet.factsFor(db, definition.id, definition.apps),
    works: {
      progress: async (work, progress) => {
        await saveProgress(db, work, progress, clock())
        deps.onWorkProgress(work, progress)
      },
      end: (work, end) => saveEnd(db, work, end, clock()),
    },
    notNow: async (migration, kind) => {
      const holds = await schema.holds(migration, kind)
      return holds.length === 0 ? undefined : holds.map(({ message }) => message).join(' ')
    },
    clock,
    delay: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
    onFault,
  })
  const pruning = () =>
    pruneAll({
      phases,
      executionFor: targets.executionFor,
      record: async (migration, archives) => {
        const detail = { archives }
        await db.tx((tx) =>
          recordChange(tx, {
            at: clock(),
            actor: 'engine',
            kind: 'archive.pruned',
            subject: migration,
            detail,
          }),
        )
      },
      onFault,
    }).catch((error: unknown) => onFault(error, 'pruning of archives'))
  const engine = createEngine({
    phases,
    runner,
    executionFor: targets.executionFor,
    repair: ({ definition }) => targets.executionFor(definition).repairSome(definition, REPAIRS_AT_A_TIME),
    holds: deps.holds,
    onFault,
    intervalMs: LOOK_MS,
    every: (ms, task) => {
      const timer = setInterval(task, ms)
      return () => clearInterval(timer)
    },
  })
  let pruned = Promise.resolve()
  const timer = setInterval(() => {
    pruned = pruning()
  }, PRUNE_MS)
  timer.unref()
  const stop = async () => {
    clearInterval(timer)
    await pruned
    await engine.stop()
  }
  return { phases, engine: { ...engine, stop }, repairs: target.repairs }
}
