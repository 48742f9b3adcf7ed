import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  freePort,
  type SpawnedProcess,
  spawnNode,
  type TestDatabase,
  type TestStore,
  testDatabase,
  testStore,
  waitFor,
} from '../support/index.ts'

const MAIN = fileURLToPath(new URL('../../server/dist/main.js', import.meta.url))
const ADMIN = 'an-admin-token-for-this-test-alone'

export interface Blocker {
  readonly code: string
  readonly subject: string
  readonly message: string
}

/** The server as it is started by users: a process of its own, on a store and a target of its own. */
export class RealServer {
  readonly url: string
  readonly #store: TestStore
  readonly #target: TestDatabase
  readonly #folder: string
  readonly #env: Readonly<Record<string, string>>
  #process: SpawnedProcess | undefined

  private constructor(port: number, store: TestStore, target: TestDatabase, folder: string, more: object) {
    this.url = `http://127.0.0.1:${port}`
    this.#store = store
    this.#target = target
    this.#folder = folder
    this.#env = {
      DATABASE_URL: store.url,
      TARGET_MAIN_URL: target.url,
      SWITCHBACK_DATA: folder,
      SWITCHBACK_ADMIN_TOKEN: ADMIN,
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: 'warn',
      ...more,
    }
  }

  static async start(more: Readonly<Record<string, string>> = {}): Promise<RealServer> {
    const folder = await mkdtemp(join(tmpdir(), 'switchback-test-'))
    const server = new RealServer(await freePort(), await testStore(), await testDatabase(), folder, more)
    await server.start()
    return server
  }

  async start(): Promise<void> {
    const started = spawnNode([MAIN, 'serve'], { env: this.#env })
    this.#process = started
    const ready = () => fetch(`${this.url}/readyz`).then(({ ok }) => ok)
    await waitFor(ready, { what: 'the server to be ready', timeoutMs: 25_000 }).catch((error: unknown) => {
      throw new Error(`the server did not start:\n${started.output()}`, { cause: error })
    })
  }

  /** Default SIGKILL: no chance to say anything. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#process?.kill(signal)
  }

  async drop(): Promise<void> {
    await this.kill()
    await this.#store.drop()
    await this.#target.drop()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async call<Result>(method: string, path: string, body?: unknown): Promise<Result> {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as Result
  }

  async token(role: string, more: { readonly migrations?: readonly string[] } = {}): Promise<string> {
    const asked = { name: `a ${role}`, role, ...more }
    return (await this.call<{ token: string }>('POST', '/v1/tokens', asked)).token
  }

  /** Registers a migration, whose `expand` has run when this resolves. */
  async expanded(id: string): Promise<void> {
    const yaml = `id: ${id}\ntitle: ${id}\ncopy:\n  from: ${id}_a\n  to: ${id}_b\n  key: { id: id }\n  columns: { x: x }\n`
    await this.#target.pool.query(`create table ${id}_a (id int primary key, x int)`)
    const expand = `create table ${id}_b (id int primary key, x int);`
    await this.call('POST', '/v1/migrations', { yaml, sql: { expand, rollback: `drop table ${id}_b;` } })
    await this.advance(id)
    await waitFor(async () => (await this.state(id)).phase === 'expanded', { what: 'expand to be done' })
  }

  async state(id: string): Promise<{ readonly phase: string; readonly epoch: number }> {
    const { state } = await this.call<{ state: { phase: string; epoch: number } }>(
      'GET',
      `/v1/migrations/${id}`,
    )
    return state
  }

  advance(id: string): Promise<unknown> {
    return this.call('POST', `/v1/migrations/${id}/advance`, {})
  }

  gate(id: string): Promise<{ readonly open: boolean; readonly blockers: readonly Blocker[] }> {
    return this.call('GET', `/v1/migrations/${id}/gate`)
  }

  async instances(): Promise<readonly { readonly id: string; readonly live: boolean }[]> {
    return (await this.call<{ instances: { id: string; live: boolean }[] }>('GET', '/v1/instances')).instances
  }
}
