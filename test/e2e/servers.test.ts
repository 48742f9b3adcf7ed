import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect, type Switchback } from '@switchback/sdk'
import {
  freePort,
  redisServer,
  type TestDatabase,
  tcpProxy,
  testDatabase,
  waitFor,
} from '@switchback/test/support'
import { afterEach, describe, expect, it } from 'vitest'
import { advanceTo, exampleMigration, type Service, spawnServer, startService, tokenOf } from './service.ts'

const redis = await redisServer()
const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

async function database(): Promise<TestDatabase> {
  const created = await testDatabase()
  cleanup.push(() => created.drop())
  return created
}

async function service(environment: Record<string, string | undefined>, port?: number): Promise<Service> {
  const started = await startService(environment, port)
  cleanup.push(() => started.process.kill('SIGTERM'))
  return started
}

/** An instance of rides-api with handlers that touch nothing. */
async function instance(server: Service, token: string, id: string): Promise<Switchback> {
  const client = await connect({ url: server.url, token, app: 'rides-api', version: '1', instance: id })
  cleanup.push(() => client.close())
  const handler = async (key: string) => key
  client.migration('user-profiles', {
    key: (key: string) => key,
    read: { old: handler, new: handler },
    write: { old: handler, new: handler },
  })
  await client.ready()
  return client
}

const variant = (client: Switchback) => client.evaluate('user-profiles.write').variant

describe.each([
  ['with Redis', redis?.url],
  ['without Redis, by polling the store', undefined],
])('two servers on one store, %s', (name, redisUrl) => {
  it.skipIf(name === 'with Redis' && redis === undefined)(
    'a change made at one reaches the instances of the other, whose acks open the gate of the first',
    async () => {
      const store = await database()
      const target = await database()
      const environment = { DATABASE_URL: store.url, TARGET_MAIN_URL: target.url, REDIS_URL: redisUrl }
      const [first, second] = await Promise.all([service(environment), service(environment)])
      expect((await first.call('POST', '/v1/migrations', await exampleMigration())).status).toBe(201)
      const token = await tokenOf(first, 'sdk')
      const client = await instance(second, token, 'far-away')
      await advanceTo(first, 'dual-write')
      await waitFor(() => variant(client) === 'dual-old', {
        what: 'the change to arrive at the other server',
      })
      await waitFor(
        async () =>
          (await first.call<{ open: boolean }>('GET', '/v1/migrations/user-profiles/gate')).body.open,
        { what: 'the ack at the other server to open the gate' },
      )
      const seen = await first.call<{ instances: { id: string }[] }>('GET', '/v1/instances')
      expect(seen.body.instances.map(({ id }) => id)).toEqual(['far-away'])
    },
  )
})

describe('an instance', () => {
  it('keeps working while its server is gone, and catches up with what it missed', async () => {
    const store = await database()
    const target = await database()
    const environment = { DATABASE_URL: store.url, TARGET_MAIN_URL: target.url }
    const server = await service(environment)
    await server.call('POST', '/v1/migrations', await exampleMigration())
    const token = await tokenOf(server, 'sdk')
    const client = await instance(server, token, 'steady')
    await advanceTo(server, 'dual-write')
    await waitFor(() => variant(client) === 'dual-old')
    await server.process.kill('SIGKILL')
    await waitFor(() => !client.status().connected, { what: 'the loss of the connection to be noticed' })
    expect(variant(client)).toBe('dual-old')
    const other = await service(environment)
    // What happened meanwhile, at a server that this instance does not know.
    expect((await other.call('POST', '/v1/migrations/user-profiles/revert', { reason: 'test' })).status).toBe(
      200,
    )
    await service(environment, server.port)
    await waitFor(() => variant(client) === 'old', { what: 'the instance to catch up' })
  })

  it('starts without a server on defaults, and takes part when the server comes', async () => {
    const store = await database()
    const target = await database()
    const environment = { DATABASE_URL: store.url, TARGET_MAIN_URL: target.url }
    const first = await service(environment)
    await first.call('POST', '/v1/migrations', await exampleMigration())
    const token = await tokenOf(first, 'sdk')
    await advanceTo(first, 'dual-write')
    await first.process.kill('SIGTERM')
    const client = await connect({
      url: first.url,
      token,
      app: 'rides-api',
      version: '1',
      instance: 'early-bird',
      startTimeout: 100,
    })
    cleanup.push(() => client.close())
    const handler = async (key: string) => key
    const profiles = client.migration('user-profiles', {
      key: (key: string) => key,
      read: { old: handler, new: handler },
      write: { old: handler, new: handler },
    })
    expect(await profiles.read('k')).toBe('k')
    expect(client.status()).toMatchObject({ connected: false })
    await service(environment, first.port)
    await waitFor(() => variant(client) === 'dual-old', {
      what: 'the instance to take part',
      timeoutMs: 30_000,
    })
  })
})

describe('what goes wrong at the start is said in one line, with exit code 1', () => {
  it.each([
    [
      'the store cannot be reached',
      { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' },
      /store cannot be reached.*DATABASE_URL/,
    ],
    ['a setting is wrong', { PORT: 'many', LEASE_MS: '-1' }, /PORT: .*\n.*LEASE_MS: /],
  ])('%s', async (_, environment, message) => {
    const process = spawnServer(await freePort(), environment)
    expect((await process.exited).code).toBe(1)
    expect(process.output()).toMatch(message)
    expect(process.output()).not.toMatch(/\n\s+at /)
  })

  it('the port is in use', async () => {
    const store = await database()
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    cleanup.push(async () => taken.close())
    const { port } = taken.address() as { port: number }
    const process = spawnServer(port, { DATABASE_URL: store.url })
    expect((await process.exited).code).toBe(1)
    expect(process.output()).toMatch(new RegExp(`port ${port} .*in use.*PORT`))
    expect(process.output()).not.toMatch(/\n\s+at /)
  })
})

it('a store that goes away fails readiness and nothing else, and is found again', async () => {
  const store = await database()
  const url = new URL(store.url)
  const proxy = await tcpProxy(url.hostname, Number(url.port))
  cleanup.push(() => proxy.stop())
  url.port = String(proxy.port)
  const server = await service({ DATABASE_URL: url.href })
  const ready = async () => (await fetch(`${server.url}/readyz`)).status
  proxy.cut()
  await waitFor(async () => (await ready()) === 503, { what: 'readiness to fail' })
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  expect((await server.call('GET', '/v1/migrations')).status).toBe(503)
  proxy.heal()
  await waitFor(async () => (await ready()) === 200, { what: 'readiness to come back' })
  expect((await server.call('GET', '/v1/migrations')).status).toBe(200)
})
