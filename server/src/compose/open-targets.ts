import { hostname } from 'node:os'
import { join } from 'node:path'
import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import type { Config } from '../config/config.ts'
import type { Clock } from '../db/clock.ts'
import { createDb, quoteIdent } from '../db/db.ts'
import { executionOn, openTarget } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import { createInspection, type Inspection } from '../execution/inspection.ts'
import { parseS3, s3Store } from '../execution/s3-store.ts'
import type { Target } from '../execution/target.ts'
import type { ThrottlePorts } from '../execution/throttle-signals.ts'
import type { BundledPostgres } from '../postgres/bundled-postgres.ts'
import { pairExecutionOn } from '../two-targets/pair-execution.ts'
import type { ServerLog } from './server-log.ts'

/** Name of the target that the bundled PostgreSQL stands in for as long as none is configured. */
const SANDBOX = 'main'

export interface Targets {
  /** @throws where no connection is configured for a target of the migration, saying which variable to set */
  executionFor(definition: MigrationDefinition): Execution
  /** Looks at the database of old. @throws as `executionFor` */
  inspectionFor(definition: MigrationDefinition): Inspection
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
  const settings = { clock, ...archivesOf(config), signals, name: `${hostname()}:${process.pid}` }

  const targetOf = (name: string): Target => {
    const existing = targets.get(name)
    if (existing !== undefined) return existing
    const url = urls[name]
    if (url === undefined) {
      const variable = `TARGET_${name.toUpperCase().replaceAll('-', '_')}_URL`
      throw new Error(`no connection for the target "${name}": set ${variable} and start the server again`)
    }
    const target = openTarget({ url, log })
    targets.set(name, target)
    return target
  }

  return {
    databasesOf: ({ target, copy }) => ({ old: targetOf(target), new: targetOf(copy?.toTarget ?? target) }),
    inspectionFor: ({ target }) => createInspection(targetOf(target)),
    executionFor: ({ target, copy }) => {
      const name = copy?.toTarget === undefined ? target : `${target} ${copy.toTarget}`
      const existing = executions.get(name)
      if (existing !== undefined) return existing
      const old = targetOf(target)
      const execution =
        copy?.toTarget === undefined
          ? executionOn(old, settings)
          : pairExecutionOn({ old, new: targetOf(copy.toTarget) }, settings)
      executions.set(name, execution)
      return execution
    },
    close: async () => {
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
