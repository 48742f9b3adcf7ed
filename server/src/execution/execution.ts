import type { WorkKind } from '@switchback/migrations-registry'
import { type ArchiveStore, folderStore } from '../archive/archive-store.ts'
import { pruneArchives } from '../archive/manifest.ts'
import { startCarrying, stopCarrying } from '../carrying/carry.ts'
import { acceptSchema, schemaState } from '../catalog/ledger.ts'
import { readCatalog } from '../catalog/read-catalog.ts'
import { countFailedRows, openRepairs, repairSome } from '../comparing/repairs.ts'
import { reverseBackfill, verify } from '../comparing/verify.ts'
import { contract } from '../contract/contract.ts'
import { restore } from '../contract/restore.ts'
import { assist, backfill } from '../copying/backfill.ts'
import { listFailedRows } from '../copying/failed-rows.ts'
import { atPace } from '../copying/paced-order.ts'
import { type ThrottlePorts, withThrottle } from '../copying/throttle-signals.ts'
import { type DdlSettings, ddlSettings } from '../ddl/ddl-settings.ts'
import { expand, rollback } from '../ddl/schema-work.ts'
import { exclusively } from '../fence/executor-lock.ts'
import { createFence } from '../fence/fence.ts'
import { remember } from '../fence/remember.ts'
import { throwIfStopped } from '../target/execution-error.ts'
import { install } from '../target/installer.ts'
import { createLoad } from '../target/load.ts'
import { createTarget, type Target } from '../target/target.ts'
import { listRanges } from '../walks/ranges-report.ts'
import type { Execution, WorkOrder, WorkOutcome } from './execution-port.ts'

interface ExecutionLog {
  warn(fields: object, message: string): void
}

export interface ExecutionSettings {
  /** Where archives of what contract drops are kept. */
  readonly archiveDir: string
  /** Where they are kept instead, if not in a folder. */
  readonly archives?: ArchiveStore
  readonly clock: () => number
  /** From 0 to 1; for the jitter between tries. */
  readonly random?: () => number
  /** Backfill workers; each has a connection. */
  readonly workers?: number
  /** Of this process, for the progress of its workers. */
  readonly name?: string
  readonly ddl?: Partial<DdlSettings>
  /** Milliseconds that one call of `passFence` waits. */
  readonly fenceWaitMs?: number
  /** Milliseconds that the same range or key is tried in vain before the work fails. */
  readonly patienceMs?: number
  /** What is measured elsewhere, and may hold copying back. */
  readonly signals?: ThrottlePorts
}

export interface ExecutionOptions extends ExecutionSettings {
  /** Of the target database. The role owns the tables that the migrations change. */
  readonly url: string
  readonly log: ExecutionLog
}

const DEFAULT_WORKERS = 2
const PATIENCE_MS = 600_000

/** Connects to a target for the work of migrations. */
export const openTarget = ({
  url,
  log,
  workers = DEFAULT_WORKERS,
}: Pick<ExecutionOptions, 'url' | 'log' | 'workers'>): Target =>
  createTarget({
    url,
    name: 'switchback',
    max: workers + 10,
    onIdleError: (error) => log.warn({ err: error }, 'a connection to the target broke'),
  })

/** What copying needs to know, by the settings of the execution. */
export const copySettings = ({
  clock,
  random = Math.random,
  workers = DEFAULT_WORKERS,
  patienceMs = PATIENCE_MS,
  name = 'worker',
}: ExecutionSettings) => ({ clock, random, workers, patienceMs, name })

/** The database work of one target. */
export const createExecution = (options: ExecutionOptions): Execution =>
  executionOn(openTarget(options), options)

/** The database work of a target that is connected to already. */
export function executionOn(target: Target, options: ExecutionSettings): Execution {
  const { clock, random = Math.random, fenceWaitMs = 2_000 } = options
  const fence = createFence({ target: target.aside, clock, waitMs: fenceWaitMs })
  const copying = { target, ...copySettings(options) }
  const signals = { target, clock, ...options.signals }
  const archives = options.archives ?? folderStore(options.archiveDir)
  const ddl = ({ definition }: WorkOrder) => ({
    ...copying,
    random,
    settings: ddlSettings(definition, options.ddl),
    archives,
  })

  const kinds: Record<WorkKind, (order: WorkOrder) => Promise<WorkOutcome>> = {
    expand: (order) => expand(ddl(order), order),
    rollback: (order) => rollback(ddl(order), order),
    backfill: (order) => backfill(copying, order),
    verify: (order) => verify(copying, order),
    'reverse-backfill': (order) => reverseBackfill(copying, order),
    contract: (order) => contract(ddl(order), order),
    restore: (order) => restore(ddl(order), order),
  }

  return {
    prepare: (migration) => install(target, migration),
    passFence: (migration, epoch, signal) => fence.pass(migration, epoch, signal),
    remember: (migration, state) => remember(target.aside, migration, state),
    minimum: (migration) => fence.minimum(migration),
    repairs: (migration) => openRepairs(target.aside, migration),
    failedRows: (migration) => countFailedRows(target.aside, migration),
    listFailedRows: (migration, page) => listFailedRows(target, migration, page),
    listRanges: (migration) => listRanges(target, migration),
    repairSome: (definition, limit) => repairSome(target, definition, limit),
    exclusively: (migration, work) => exclusively(target, migration, work),
    schema: async () => [await schemaState(target, await readCatalog(target))],
    pruneArchives: ({ id, contract: { archive } }) => pruneArchives(archives, id, clock() - archive.keep),
    load: createLoad(target, clock),
    acceptSchema: async () => {
      await install(target)
      await acceptSchema(target, await readCatalog(target))
    },
    carry: (definition, on, watch) =>
      on ? startCarrying(copying, definition, watch) : stopCarrying(copying, definition.id, watch),
    run: async (kind, order) => {
      throwIfStopped(order.signal)
      await install(target, order.definition.id)
      return kinds[kind](atPace(signals, withThrottle(signals, order)))
    },
    assist: (order) => assist(copying, withThrottle(signals, order)),
    end: () => target.end(),
  }
}
