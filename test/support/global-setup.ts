import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBundledPostgres } from '@switchback/server'
import type { TestProject } from 'vitest/node'
import { provideChromium } from './chromium.ts'
import { watchdog } from './watchdog.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string
  }
}

/** One PostgreSQL for the whole run, quick and forgetful: a test that needs durability starts its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await provideChromium()
  const folder = mkdtempSync(join(tmpdir(), 'switchback-test-'))
  chmodSync(folder, 0o755)
  watchdog().remove(folder)
  const postgres = await startBundledPostgres({
    dataDir: join(folder, 'postgres'),
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: 200 },
  })
  watchdog().end(postgres.pid, 'SIGQUIT')
  project.provide('postgresUrl', postgres.url)
  return async () => {
    await postgres.stop()
    watchdog().forget(postgres.pid)
    rmSync(folder, { recursive: true, force: true })
  }
}
