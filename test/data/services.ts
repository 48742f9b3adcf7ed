import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, type SpawnedProcess, spawnNode, waitFor } from '../support/index.ts'

const MAIN = fileURLToPath(new URL('../../server/dist/main.js', import.meta.url))
const ADMIN = 'admin-of-the-tests-and-of-nothing-else'

export interface View {
  readonly state: {
    readonly phase: string
    readonly epoch: number
    readonly work?: { readonly kind: string; readonly status: string; readonly error?: string }
  }
  readonly gate: { readonly open: boolean; readonly blockers: readonly { readonly code: string }[] }
  readonly works: readonly {
    readonly kind: string
    readonly status: string
    readonly result?: Readonly<Record<string, unknown>>
  }[]
}

/** A server and a worker as processes of their own, on one store and one target. */
export interface Services {
  readonly url: string
  call<Result>(method: string, path: string, body?: unknown): Promise<Result>
  /** The migration; waits while the server is starting again. */
  migration(id: string): Promise<View>
  /** Advances once the gate is open, and waits for the work of the phase that follows. */
  advance(id: string, to: string): Promise<void>
  /** kill -9, and a new one in its place. */
  kill(which: 'server' | 'worker'): Promise<void>
  stop(): Promise<void>
}

export async function startServices(
  store: string,
  target: string,
  folder: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Services> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const env = {
    DATABASE_URL: store,
    TARGET_MAIN_URL: target,
    SWITCHBACK_ADMIN_TOKEN: ADMIN,
    SWITCHBACK_DATA: join(folder, 'data'),
    PORT: String(port),
    LOG_LEVEL: 'info',
    POLL_MS: '100',
    ...more,
  }
  const start = (which: 'server' | 'worker') =>
    spawnNode([MAIN, which === 'server' ? 'serve' : 'worker'], { env })
  const running: Record<'server' | 'worker', SpawnedProcess> = {
    server: start('server'),
    // Begun once the server has made the store's schema.
    worker: await readyServer(url).then(() => start('worker')),
  }

  async function call<Result>(method: string, path: string, body?: unknown): Promise<Result> {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const json = (await response.json()) as Result
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(json)}`)
    return json
  }
  const migration = (id: string): Promise<View> =>
    waitFor(() => call<View>('GET', `/v1/migrations/${id}`), { what: 'the server', timeoutMs: 30_000 })

  return {
    url,
    call,
    migration,
    advance: async (id, to) => {
      await waitFor(
        async () => {
          const { gate, state } = await migration(id)
          if (state.phase === to) return true
          if (!gate.open) throw new Error(JSON.stringify(gate))
          await call('POST', `/v1/migrations/${id}/advance`, { epoch: state.epoch })
          return false
        },
        { what: `${id} to advance to ${to}`, timeoutMs: 60_000 },
      )
    },
    kill: async (which) => {
      await running[which].kill('SIGKILL')
      running[which] = start(which)
      if (which === 'server') await readyServer(url)
    },
    stop: async () => {
      await Promise.all([running.server.kill('SIGTERM'), running.worker.kill('SIGTERM')])
    },
  }
}

const readyServer = (url: string): Promise<boolean> =>
  waitFor(async () => (await fetch(`${url}/readyz`)).ok, { what: 'a ready server', timeoutMs: 60_000 })
