import { hostname } from 'node:os'
import { join } from 'node:path'
import { type MigrationDefinition, type Path, tablesOf } from '@switchback/migrations-registry'
import { parseS3, s3Store } from '../archive/s3-store.ts'
import type { Config } from '../config/config.ts'
import { targetVariable } from '../config/target-variable.ts'
import type { ThrottlePorts } from '../copying/throttle-signals.ts'
import type { Clock } from '../db/clock.ts'
import { createDb, quoteIdent } from '../db/db.ts'
import { executionOn, openTarget } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import type { BundledPostgres } from '../postgres/bundled-postgres.ts'
import { createSteps } from '../steps/load-step.ts'
import { stepExecutionOn } from '../steps/step-execution.ts'
import { createInspection, type Inspection } from '../target/inspection.ts'
import type { Target } from '../target/target.ts'
import type { InspectedDatabase } from '../tripwires/database-signals.ts'
import { pairExecutionOn } from '../two-targets/pair-execution.ts'
import { compareSampleFar } from '../two-targets/sample-far.ts'
import type { ServerLog } from './server-log.ts'

/** Name of the target that the bundled PostgreSQL stands in for as long as none is configured. */
const SANDBOX = 'main'

export interface Targets {
  /** @throws where no connection is configured for a target of the migration, saying which variable to set */
  executionFor(definition: MigrationDefinition): Execution
  /** Looks at what a migration is about; assertions are made in the database of old. @throws as `executionFor` */
  inspectionFor(definition: MigrationDefinition): Inspection
  /** What is looked at of both paths: one database or two. @throws as `executionFor` */
  inspectedOf(definition: MigrationDefinition): readonly InspectedDatabase[]
  /** Why this server cannot run the code that a definition names, and what to do; undefined where it can. */
  stepMissing(definition: MigrationDefinition): Promise<string | undefined>
  /** The database of each path; the same twice where both are in one. @throws as `executionFor` */
  databasesOf(definition: MigrationDefinition): Readonly<Record<Path, Target>>
  close(): Promise<void>
}

/** The databases that migrations change, by the names that definitions use; connected to when first needed. */
export async function openTargets(
  config: Config,
  bundled: BundledPostgres | undefined,
  clock: Clock,
  log: ServerLog,
  signals: ThrottlePorts,
): Promise<Targets> {
  const urls = { ...config.targets }
  if (Object.keys(urls).length === 0 && bundled !== undefined) {
    urls[SANDBOX] = await sandbox(bundled)
    log.warn(
      { database: SANDBOX },
      `no target is configured: a database beside the store stands in for "${SANDBOX}"`,
    )
  }
  const targets = new Map<string, Target>()
  const executions = new Map<string, Execution>()
  const steps = createSteps(config.migrationsDir)
  const settings = { clock, ...archivesOf(config), signals, name: `${hostname()}:${process.pid}` }

  const targetOf = (name: string): Target => {
    const existing = targets.get(name)
    if (existing !== undefined) return existing
    const url = urls[name]
    if (url === undefined) {
      const variable = targetVariable(name)
      throw new Error(`no connection for the target "${name}": set ${variable} and start the server again`)
    }
    const target = openTarget({ url, log })
    targets.set(name, target)
    return target
  }

  return {
    inspectionFor: ({ target, copy }) => {
      const old = targetOf(target)
      if (copy?.toTarget === undefined) return createInspection(old)
      const pair = { old, new: targetOf(copy.toTarget) }
      return {
        ...createInspection(old),
        compareSample: (definition, rows) => compareSampleFar(pair, definition, rows),
      }
    },
    inspectedOf: (definition) => {
      const { target, copy } = definition
      const inspect = (name: string, tables: readonly string[]) => ({
        target: name,
        tables,
        inspection: createInspection(targetOf(name)),
      })
      if (copy?.toTarget === undefined) return [inspect(target, tablesOf(definition))]
      return [inspect(target, [copy.from]), inspect(copy.toTarget, [copy.to])]
    },
    databasesOf: ({ target, copy }) => ({ old: targetOf(target), new: targetOf(copy?.toTarget ?? target) }),
    executionFor: ({ target, copy }) => {
      const name = [target, copy?.toTarget ?? '', copy?.step === undefined ? '' : 'step'].join(' ')
      const existing = executions.get(name)
      if (existing !== undefined) return existing
      const old = targetOf(target)
      const execution =
        copy?.step !== undefined
          ? stepExecutionOn(old, settings, steps)
          : copy?.toTarget === undefined
            ? executionOn(old, settings)
            : pairExecutionOn({ old, new: targetOf(copy.toTarget) }, settings)
      executions.set(name, execution)
      return execution
    },
    stepMissing: async (definition) =>
      definition.copy?.step === undefined ? undefined : steps.missing(definition),
    close: async () => {
      await steps.close()
      await Promise.all([...targets.values()].map((target) => target.end()))
    },
  }
}

function archivesOf({ archiveUrl, dataDir }: Config) {
  const archiveDir = archiveUrl ?? join(dataDir, 'archive')
  const place = parseS3(archiveDir)
  return { archiveDir, ...(place === undefined ? {} : { archives: s3Store(place) }) }
}

async function sandbox(bundled: BundledPostgres): Promise<string> {
  const url = new URL(bundled.url)
  const db = createDb({ url: bundled.url, name: 'switchback sandbox', max: 1 })
  try {
    const { rows } = await db.query('select from pg_database where datname = $1', [SANDBOX])
    if (rows.length === 0) await db.query(`create database ${quoteIdent(SANDBOX)}`)
  } finally {
    await db.end()
  }
  url.pathname = `/${SANDBOX}`
  return url.href
}
