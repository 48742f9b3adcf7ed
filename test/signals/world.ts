import { connect, type Switchback } from '@switchback/sdk'
import { type Service, startService, tokenOf } from '../e2e/service.ts'
import { type TestDatabase, testDatabase, waitFor } from '../support/index.ts'

/** How a path behaves: how much of it fails, and how long it takes. */
export interface PathBehaviour {
  fails: number
  ms: number
}

/** What the application does with each path of a migration. */
export interface Behaviour {
  readonly read: { readonly old: PathBehaviour; readonly new: PathBehaviour }
  readonly write: { readonly old: PathBehaviour; readonly new: PathBehaviour }
}

export interface Verdict {
  readonly name: string
  readonly outcome: string
  readonly reason: string
  readonly explanation: string
  readonly action: string
}
export interface BreachView {
  readonly tripwire: string
  readonly action: string
  readonly reason: string
  readonly explanation: string
  readonly incident?: string
}
export interface IncidentView {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly title: string
  readonly cause: { readonly kind: string; readonly reason: string; readonly path?: string }
  readonly from: { readonly phase: string; readonly epoch: number }
  readonly to: { readonly phase: string; readonly epoch: number }
  readonly alertedAt?: number
  readonly committedAt?: number
  readonly lastAckAt?: number
  readonly verification?: {
    readonly outcome: string
    readonly findings: readonly {
      readonly name: string
      readonly outcome: string
      readonly message: string
    }[]
  }
  readonly timeline: readonly {
    readonly kind: string
    readonly message: string
    readonly detail: Record<string, unknown>
  }[]
}
interface View {
  readonly state: {
    readonly phase: string
    readonly epoch: number
    readonly paused: boolean
    readonly latch?: { readonly reason: string; readonly incident?: string }
    readonly work?: { readonly kind: string; readonly status: string; readonly error?: string }
    readonly pending?: { readonly to: string }
  }
  readonly gate: { readonly open: boolean; readonly blockers: readonly { code: string; message: string }[] }
}

export interface World {
  readonly service: Service
  readonly store: TestDatabase
  readonly target: TestDatabase
  readonly environment: Record<string, string | undefined>
  /** Another process on the same store. */
  another(): Promise<Service>
  /** A server on the port of one that is gone. */
  restart(port: number): Promise<Service>
  register(id: string, yaml?: string, sql?: Record<string, string>): Promise<void>
  advanceTo(id: string, phase: string): Promise<void>
  view(id: string): Promise<View>
  verdicts(id: string): Promise<readonly Verdict[]>
  breaches(id: string): Promise<readonly BreachView[]>
  /** Incidents of a migration with their timelines, newest first. */
  incidents(id: string): Promise<readonly IncidentView[]>
  /** An application instance with traffic on both kinds of operations. */
  application(
    id: string,
    options?: { readonly at?: Service; readonly perSecond?: number },
  ): Promise<Application>
  until<T>(what: string, condition: () => T | Promise<T>): ReturnType<typeof waitFor<T>>
  onClose(step: () => Promise<unknown>): void
  close(): Promise<void>
}

export interface Application {
  readonly client: Switchback
  readonly behaviour: Behaviour
  /** Operations that have ended so far. */
  readonly done: { count: number }
  /** Sets how many operations of each kind are begun in a second. */
  pace(perSecond: number): void
}

/** Operations are made to fail, by the hundred. */
const SILENT = { info: () => {}, warn: () => {}, error: () => {} }

const pathOf = (): PathBehaviour => ({ fails: 0, ms: 0 })

/** A server on a store and a target of its own. */
export async function openWorld(more: Record<string, string | undefined> = {}): Promise<World> {
  const closing: (() => Promise<unknown>)[] = []
  const onClose = (step: () => Promise<unknown>) => void closing.push(step)
  const close = async (): Promise<void> => {
    for (const step of closing.splice(0).reverse()) await step()
  }
  const store = await testDatabase()
  onClose(() => store.drop())
  const target = await testDatabase()
  onClose(() => target.drop())
  await target.pool.query(`create table users (id text primary key, bio text);
    insert into users select 'u' || i, 'bio ' || i from generate_series(1, 500) i`)
  const environment = { DATABASE_URL: store.url, TARGET_MAIN_URL: target.url, ...more }
  const start = async (port?: number): Promise<Service> => {
    const started = await startService(environment, port)
    onClose(() => started.process.kill('SIGTERM'))
    return started
  }
  const service = await start()
  let token: string | undefined

  const ask = async <T>(path: string): Promise<T> => {
    const { status, body } = await service.call<T>('GET', path)
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
    return body
  }
  const view = (id: string) => ask<View>(`/v1/migrations/${id}`)
  const tripwires = (id: string) =>
    ask<{ verdicts: Verdict[]; breaches: BreachView[] }>(`/v1/migrations/${id}/tripwires`)
  const until: World['until'] = (what, condition) => waitFor(condition, { what })

  return {
    service,
    store,
    target,
    environment,
    another: () => start(),
    restart: start,
    onClose,
    close,
    until,
    view,
    verdicts: async (id) => (await tripwires(id)).verdicts,
    breaches: async (id) => (await tripwires(id)).breaches,
    incidents: async (id) => {
      const { incidents } = await ask<{ incidents: { id: string }[] }>(`/v1/incidents?migration=${id}`)
      return await Promise.all(incidents.map((each) => ask<IncidentView>(`/v1/incidents/${each.id}`)))
    },
    register: async (id, yaml = '', sql) => {
      const table = id.replaceAll('-', '_')
      const answer = await service.call('POST', '/v1/migrations', {
        yaml: `id: ${id}\ntitle: Test of ${id}\ncopy:\n  from: users\n  to: ${table}\n  key: { id: id }\n  columns: { bio: bio }\ncontract: { approvals: 0 }\n${yaml}`,
        sql: sql ?? {
          expand: `create table ${table} (id text primary key, bio text);`,
          // No contract: two that copy a column which one of them drops would be at odds.
          rollback: `drop table if exists ${table};`,
        },
      })
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
    },
    advanceTo: async (id, phase) => {
      await until(`${id} to stand at ${phase}`, async () => {
        const { state, gate } = await view(id)
        const settled = state.work === undefined || state.work.status === 'done'
        if (state.phase === phase && settled) return true
        if (state.work?.status === 'failed') throw new Error(state.work.error)
        if (state.phase !== phase && gate.open) {
          await service.call('POST', `/v1/migrations/${id}/advance`, {})
        }
        return false
      })
    },
    application: async (id, { at = service, perSecond = 200 } = {}) => {
      token ??= await tokenOf(service, 'sdk')
      const client = await connect({
        url: at.url,
        token,
        app: 'app',
        version: '1',
        closeTimeout: 0,
        log: SILENT,
      })
      const behaviour: Behaviour = {
        read: { old: pathOf(), new: pathOf() },
        write: { old: pathOf(), new: pathOf() },
      }
      const handler = (how: PathBehaviour) => async (key: string) => {
        if (how.ms > 0) await new Promise((resolve) => setTimeout(resolve, how.ms))
        if (Math.random() < how.fails) throw Object.assign(new Error('made to fail'), { code: 'XX000' })
        return key
      }
      const { read, write } = behaviour
      const router = client.migration(id, {
        key: (key: string) => key,
        read: { old: handler(read.old), new: handler(read.new) },
        write: { old: handler(write.old), new: handler(write.new) },
      })
      await client.ready()
      const done = { count: 0 }
      let timer: NodeJS.Timeout | undefined
      let turn = 0
      const operate = (work: Promise<unknown>): void => {
        work.catch(() => undefined).finally(() => done.count++)
      }
      const pace = (rate: number): void => {
        clearInterval(timer)
        if (rate === 0) return
        const each = Math.max(1, Math.round(rate / 100))
        timer = setInterval(
          () => {
            for (let i = 0; i < each; i++) {
              const key = `u${turn++ % 500}`
              operate(router.read(key))
              operate(router.write(key))
            }
          },
          Math.max(10, 1000 / rate),
        )
      }
      pace(perSecond)
      onClose(async () => {
        pace(0)
        await client.close()
      })
      return { client, behaviour, done, pace }
    },
  }
}
