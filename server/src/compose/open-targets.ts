import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import type { Clock } from '../db/clock.ts'
import { createDb, quoteIdent } from '../db/db.ts'
import { createExecution } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import type { BundledPostgres } from '../postgres/bundled-postgres.ts'
import type { ServerLog } from './server-log.ts'

/** Name of the target that the bundled PostgreSQL stands in for as long as none is configured. */
const SANDBOX = 'main'

export interface Targets {
  /** @throws where no connection is configured for this name, saying which variable to set */
  executionFor(target: string): Execution
  close(): Promise<void>
}

/** The databases that migrations change, by the names that definitions use; connected to when first needed. */
export async function openTargets(
  config: Config,
  bundled: BundledPostgres | undefined,
  clock: Clock,
  log: ServerLog,
): Promise<Targets> {
  const urls = { ...config.targets }
  if (Object.keys(urls).length === 0 && bundled !== undefined) {
    urls[SANDBOX] = await sandbox(bundled)
    log.warn(
      { database: SANDBOX },
      `no target is configured: a database beside the store stands in for "${SANDBOX}"`,
    )
  }
  const open = new Map<string, Execution>()
  return {
    executionFor: (target) => {
      const existing = open.get(target)
      if (existing !== undefined) return existing
      const url = urls[target]
      if (url === undefined) {
        const variable = `TARGET_${target.toUpperCase().replaceAll('-', '_')}_URL`
        throw new Error(
          `no connection for the target "${target}": set ${variable} and start the server again`,
        )
      }
      const execution = createExecution({ url, log, clock, archiveDir: join(config.dataDir, 'archive') })
      open.set(target, execution)
      return execution
    },
    close: async () => {
      await Promise.all([...open.values()].map((execution) => execution.end()))
    },
  }
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
