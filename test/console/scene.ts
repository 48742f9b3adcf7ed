import { waitFor } from '@switchback/test/support'
import pg from 'pg'
import { type Service, startService, tokenOf } from '../e2e/service.ts'
import { type Application, startApplication } from './application.ts'
import { fill, type Made, registrationOf } from './scenery.ts'

export interface Scene {
  readonly service: Service
  readonly applications: readonly Application[]
  readonly token: (role: string) => Promise<string>
  register(made: Made): Promise<void>
  addApplication(instance: string, migrations: readonly Made[], app?: string): Promise<Application>
  /** Advances until the migration stands there; where a number is given, until that share of ramp. */
  advance(id: string, phase: string, share?: number): Promise<void>
  /** Runs SQL in the target, past everything. */
  sql(text: string): Promise<void>
  /** Ends the server, does this, and starts it again at the same address. */
  restart(meanwhile: () => Promise<void>): Promise<void>
  stop(): Promise<void>
}

interface View {
  readonly state: { readonly phase: string; readonly rollout: { readonly share: number } }
}

export interface SceneOptions {
  readonly storeUrl: string
  readonly targetUrl: string
  readonly environment?: Readonly<Record<string, string>>
  readonly port?: number
}

/** A real server with real instances on real databases, for the console to look at. */
export async function openScene(options: SceneOptions): Promise<Scene> {
  const { storeUrl, targetUrl } = options
  const environment = { DATABASE_URL: storeUrl, TARGET_MAIN_URL: targetUrl, ...options.environment }
  const service = await startService(environment, options.port)
  let running = service.process
  const sdk = await tokenOf(service, 'sdk')
  const applications: Application[] = []

  const post = async (path: string, body: unknown) => {
    const { status, body: answer } = await service.call<{ detail?: string }>('POST', path, body)
    return { status, detail: answer?.detail }
  }

  return {
    service,
    applications,
    token: (role) => tokenOf(service, role),
    async register(made) {
      await fill(targetUrl, [made])
      const { status, detail } = await post('/v1/migrations', registrationOf(made))
      if (status !== 201) throw new Error(`${made.id} was not registered: ${detail}`)
    },
    async addApplication(instance, migrations, app = 'rides-api') {
      const application = await startApplication({
        url: service.url,
        token: sdk,
        targetUrl,
        app,
        version: '1.4.2',
        instance,
        migrations,
      })
      applications.push(application)
      return application
    },
    async advance(id, phase, share) {
      await waitFor(
        async () => {
          const { body } = await service.call<View>('GET', `/v1/migrations/${id}`)
          if (body.state.phase === phase && (share === undefined || body.state.rollout.share === share))
            return true
          await post(`/v1/migrations/${id}/advance`, {})
          return false
        },
        { what: `${id} to stand at ${phase}`, timeoutMs: 60_000 },
      )
    },
    async sql(text) {
      const client = new pg.Client({ connectionString: targetUrl })
      await client.connect()
      try {
        await client.query(text)
      } finally {
        await client.end()
      }
    },
    async restart(meanwhile) {
      await running.kill('SIGTERM')
      await meanwhile()
      running = (await startService(environment, service.port)).process
    },
    async stop() {
      await Promise.all(applications.map((application) => application.stop()))
      await running.kill('SIGTERM')
    },
  }
}
