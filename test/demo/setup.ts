import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BundledPostgres, startBundledPostgres } from '@switchback/server'
import { Api } from './api.ts'
import type { DemoOptions } from './options.ts'
import { AppProcess, freePort, ServerProcess } from './processes.ts'
import type { Screen } from './screen.ts'
import { seedUsers } from './seed.ts'

const FOLDER = fileURLToPath(
  new URL('../../../migrations-registry/migrations/2026-11-user-profiles/', import.meta.url),
)

/** Everything that runs during the demo. */
export interface Stage {
  readonly folder: string
  readonly target: BundledPostgres
  readonly server: ServerProcess
  readonly api: Api
  readonly approver: Api
  readonly alertToken: string
  readonly apps: readonly AppProcess[]
}

/** What has been started, so that it can be ended whatever happened in between. */
export class Cleanup {
  readonly #steps: (() => Promise<void>)[] = []

  add(step: () => Promise<void>): void {
    this.#steps.unshift(step)
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0))
      await step().catch((error: unknown) => console.error(String(error)))
  }
}

/**
 * The registered migration with soak times that fit into a demo, and with its own measurements looked at only:
 * they would turn the flags round before a monitoring system has noticed anything.
 */
async function shortened(): Promise<{ yaml: string; sql: Record<string, string> }> {
  const yaml = (await readFile(join(FOLDER, 'migration.yaml'), 'utf8'))
    .replace(/soak: \w+/g, 'soak: 1s')
    .replace(/retire: \{ after: \w+ \}/, 'retire: { after: 1s }')
    .replace(/contract: \{ after: \w+/, 'contract: { after: 1s')
    .replace(/(watch: (?:error|latency|mismatch).*) do:/g, '$1 dryRun: true, do:')
  const sql = { expand: '', rollback: '', contract: '' }
  for (const file of ['expand', 'rollback', 'contract'] as const) {
    sql[file] = await readFile(join(FOLDER, `${file}.sql`), 'utf8')
  }
  return { yaml, sql }
}

export async function setUp(options: DemoOptions, screen: Screen, cleanup: Cleanup): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'switchback-demo-'))
  cleanup.add(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'data'))

  const target = await startBundledPostgres({
    dataDir: join(folder, 'target'),
    settings: { max_connections: '100' },
  })
  cleanup.add(() => target.stop())
  screen.line(`target: PostgreSQL on port ${target.port}`)
  await seedUsers(target.url, options.rows, options.seed, (done) =>
    screen.bar('seeding users', done, options.rows),
  )
  screen.line(`target: ${options.rows.toLocaleString('en')} users, seed ${options.seed}`)

  const server = new ServerProcess(await freePort(), {
    SWITCHBACK_DATA: join(folder, 'data'),
    TARGET_MAIN_URL: target.url,
    LOG_LEVEL: 'warn',
  })
  cleanup.add(() => server.stop())
  await server.start()
  const adminToken = (await readFile(join(folder, 'data', 'admin-token'), 'utf8')).trim()
  const api = new Api(server.url, adminToken)
  const token = async (name: string, role: string) =>
    (await api.call<{ token: string }>('POST', '/v1/tokens', { name, role })).token
  screen.line(`server: ${server.url}, with its own PostgreSQL`)
  await api.call('POST', '/v1/migrations', await shortened())
  screen.line('tripwires on measurements: dry run, so that the alert has something to do')

  const sdkToken = await token('rides-api', 'sdk')
  const apps = ['a', 'b', 'c'].map(
    (letter) =>
      new AppProcess({
        instance: `rides-api-${letter}`,
        switchbackUrl: server.url,
        token: sdkToken,
        databaseUrl: target.url,
        rows: options.rows,
        seed: options.seed,
        concurrency: 2,
        pauseMs: 4,
      }),
  )
  cleanup.add(async () => {
    await Promise.all(apps.map((app) => app.stop()))
  })
  await Promise.all(apps.map((app) => app.next('ready')))
  screen.line(`instances: ${apps.map((app) => app.id).join(', ')}, reading and writing`)
  return {
    folder,
    target,
    server,
    api,
    approver: new Api(server.url, await token('lead of riders', 'approver')),
    alertToken: await token('alertmanager', 'alert'),
    apps,
  }
}
