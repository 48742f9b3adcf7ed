import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Api, ApiError, type Blocker, type MigrationView } from '../demo/api.ts'
import {
  freePort,
  type SpawnedProcess,
  spawnNode,
  type TestDatabase,
  testDatabase,
  waitFor,
} from '../support/index.ts'
import { InstanceProcess } from './instance-process.ts'

const MAIN = fileURLToPath(new URL('../../server/dist/main.js', import.meta.url))
const ADMIN = 'an-admin-token-for-this-test-alone'
export const ID = 'user-notes'

const yaml = (fence: boolean): string => `
id: ${ID}
title: Notes of users move to their own table
fence: ${fence}
copy:
  from: users
  to: notes
  key: { user_id: id }
  columns: { note: note }
rollout:
  - { share: 50% }
  - { share: 100% }
`

export interface Instance {
  readonly id: string
  readonly live: boolean
  readonly migrations: Readonly<Record<string, { readonly applied: number; readonly drained: number }>>
}

/** A server process, a target and three application processes. */
export interface FleetWorld {
  readonly api: Api
  readonly target: TestDatabase
  readonly instances: readonly [InstanceProcess, InstanceProcess, InstanceProcess]
  /** Looks at the migration until `condition` holds. */
  until(what: string, condition: (view: MigrationView) => boolean): Promise<MigrationView>
  /** Asks for the next step until it is taken, and waits until the migration stands at `phase`. */
  advanceTo(phase: string, step?: number): Promise<MigrationView>
  /** Asks for the next step once; the blockers where the gate refuses. */
  tryAdvance(): Promise<readonly Blocker[]>
  instance(id: string): Promise<Instance | undefined>
  /** Waits until every running instance has drained the present epoch. */
  drained(...ids: readonly string[]): Promise<void>
  /** kill -9 of the server, and the same again on its port. */
  restartServer(): Promise<void>
  close(): Promise<void>
}

export interface FleetOptions {
  /** Whether the migration has a fence. */
  readonly fence: boolean
  readonly leaseMs: number
}

export async function openFleetWorld(options: FleetOptions): Promise<FleetWorld> {
  const closing: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const step of closing.splice(0).reverse()) await step()
  }
  try {
    return await open(options, closing, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  { fence, leaseMs }: FleetOptions,
  closing: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<FleetWorld> {
  const store = await testDatabase()
  closing.push(() => store.drop())
  const target = await testDatabase()
  closing.push(() => target.drop())
  // The role of the test server is named like our schema, which "$user" would find first.
  await target.pool.query(`
    create table public.users (id int primary key, note text);
    insert into public.users select i, 'first' from generate_series(1, 20) i`)
  const folder = mkdtempSync(join(tmpdir(), 'switchback-fleet-'))
  closing.push(async () => rmSync(folder, { recursive: true, force: true }))

  const port = await freePort()
  let server: SpawnedProcess | undefined
  const startServer = async (): Promise<void> => {
    server = spawnNode([MAIN, 'serve'], {
      env: {
        DATABASE_URL: store.url,
        TARGET_MAIN_URL: target.url,
        SWITCHBACK_DATA: folder,
        SWITCHBACK_ADMIN_TOKEN: ADMIN,
        PORT: String(port),
        HOST: '127.0.0.1',
        HEARTBEAT_MS: '300',
        LEASE_MS: String(leaseMs),
        POLL_MS: '100',
        LOG_LEVEL: 'info',
      },
    })
    await server.sees(/the server is ready/, { timeoutMs: 30_000 })
  }
  closing.push(async () => server?.kill('SIGKILL'))
  await startServer()

  const api = new Api(`http://127.0.0.1:${port}`, ADMIN)
  const { token } = await api.call<{ token: string }>('POST', '/v1/tokens', { name: 'apps', role: 'sdk' })
  const sql = { expand: 'create table notes (user_id int primary key, note text);' }
  await api.call('POST', '/v1/migrations', { yaml: yaml(fence), sql })
  const spawn = (instance: string): InstanceProcess => {
    const started = new InstanceProcess({
      instance,
      url: `http://127.0.0.1:${port}`,
      token,
      databaseUrl: target.url,
      migration: ID,
    })
    closing.push(() => started.kill())
    return started
  }
  const instances = [spawn('a'), spawn('b'), spawn('c')] as const
  await Promise.all(instances.map((instance) => instance.next('ready')))

  const view = (): Promise<MigrationView> => api.migration(ID)
  const until: FleetWorld['until'] = (what, condition) =>
    waitFor(
      async () => {
        const seen = await view()
        return condition(seen) ? seen : undefined
      },
      { what, timeoutMs: 40_000 },
    )
  const tryAdvance: FleetWorld['tryAdvance'] = async () => {
    try {
      await api.call('POST', `/v1/migrations/${ID}/advance`, {})
      return []
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return error.blockers
      throw error
    }
  }
  const instance: FleetWorld['instance'] = async (id) => {
    const { instances: found } = await api.call<{ instances: Instance[] }>('GET', '/v1/instances')
    return found.find((each) => each.id === id)
  }
  return {
    api,
    target,
    instances,
    until,
    tryAdvance,
    instance,
    advanceTo: (phase, step) => {
      const there = ({ state }: MigrationView): boolean =>
        state.phase === phase && (step === undefined || state.rollout.step === step)
      return waitFor(
        async () => {
          const seen = await view()
          if (there(seen)) return seen
          if (seen.gate.open) await tryAdvance()
          return undefined
        },
        { what: `${phase} to be reached`, timeoutMs: 40_000 },
      )
    },
    drained: async (...ids) => {
      for (const id of ids) {
        await waitFor(
          async () => {
            const { state } = await view()
            return (await instance(id))?.migrations[ID]?.drained === state.epoch
          },
          { what: `${id} to drain` },
        )
      }
    },
    restartServer: async () => {
      await server?.kill('SIGKILL')
      await startServer()
    },
    close,
  }
}
