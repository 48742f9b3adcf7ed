import { fileURLToPath } from 'node:url'
import { type ConnectOptions, connect, type Log, type Switchback } from '@switchback/sdk'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { spawnNode, waitFor } from '../support/index.ts'
import { RealServer } from './real-server.ts'
import { type RecordingProxy, startProxy } from './recording-proxy.ts'

const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

let server: RealServer
let token: string
let proxy: RecordingProxy
let number = 0
let m: string
const clients: Switchback[] = []

beforeAll(async () => {
  server = await RealServer.start({ HEARTBEAT_MS: '300', LEASE_MS: '3000' })
  token = await server.token('sdk')
})
afterAll(() => server.drop())
beforeEach(async () => {
  proxy = await startProxy(server.url)
  m = `m${++number}`
  await server.expanded(m)
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await proxy.stop()
})

/** `random: 0`: nothing waits for jitter. */
const joined = async (options: Partial<ConnectOptions> = {}): Promise<Switchback> => {
  const client = await connect({
    url: proxy.url,
    token,
    app: 'rides-api',
    version: '1',
    transport: 'polling',
    startTimeout: 15_000,
    closeTimeout: 500,
    log: SILENT,
    random: () => 0,
    ...options,
  })
  clients.push(client)
  return client
}
const routed = async (client: Switchback, old: () => Promise<string> = async () => 'old') => {
  const migration = client.migration(m, {
    key: (id: string) => id,
    read: { old, new: async () => 'new' },
    write: { old: async () => 'old', new: async () => 'new' },
  })
  await client.ready()
  return migration
}
const applied = (client: Switchback) => client.status().positions[m]?.applied
const polls = () => proxy.seen.filter(({ path }) => path.startsWith('/v1/snapshot'))
const held = () => polls().some(({ path, status }) => path.includes('wait=') && status === undefined)

describe('an instance that polls', () => {
  it('applies an epoch that is pushed, acks it, and opens the gate when it has drained', async () => {
    let release: () => void = () => undefined
    const client = await joined()
    const reads = await routed(
      client,
      () =>
        new Promise((resolve) => {
          release = () => resolve('old')
        }),
    )
    await waitFor(async () => (await server.gate(m)).open, { what: 'the gate to open' })
    await waitFor(held)
    const read = reads.read('a')
    await server.advance(m)
    const { epoch } = await server.state(m)
    await waitFor(() => applied(client) === epoch, { what: 'the epoch to be applied' })
    const blockers = await waitFor(async () => {
      const [first] = (await server.gate(m)).blockers
      return first?.message.includes('not drained') ? first : undefined
    })
    expect(blockers).toMatchObject({ code: 'instance-not-drained', subject: client.instance })
    expect(blockers.message).toContain('a read has been running')
    release()
    expect(await read).toBe('old')
    await waitFor(async () => (await server.gate(m)).open, { what: 'the gate to open' })
    expect(proxy.upgrades).toBe(0)
    // The change came as the answer to a request that was held, and not by asking again and again.
    expect(polls().filter(({ path, status }) => path.includes('wait=') && status === 200)).toHaveLength(1)
  })

  it('goes on plainly where nothing may be held, and is told 304 while nothing has changed', async () => {
    proxy.breaksHeld = true
    const client = await joined()
    await routed(client)
    await waitFor(() => polls().some(({ path, status }) => !path.includes('wait=') && status === 304))
    for (const { ifNoneMatch } of polls().slice(1)) expect(ifNoneMatch).toMatch(/^".+"$/)
    expect(client.status()).toMatchObject({ connected: true, registered: true })
    await server.advance(m)
    const { epoch } = await server.state(m)
    await waitFor(() => applied(client) === epoch)
  })

  it('blocks the gate when its lease has lapsed, and no longer when it is back', async () => {
    const client = await joined({ instance: `lapsing-${m}` })
    await routed(client)
    await server.advance(m)
    await waitFor(async () => (await server.gate(m)).open)
    await proxy.stop()
    await waitFor(async () => !(await server.gate(m)).open, { what: 'the lease to lapse' })
    expect((await server.gate(m)).blockers).toMatchObject([
      { code: 'instance-lapsed', subject: `lapsing-${m}` },
    ])
    expect(client.status()).toMatchObject({ connected: false, registered: false })
    await proxy.start()
    await waitFor(async () => (await server.gate(m)).open, { what: 'the gate to open again' })
  })

  it('is still known, with its positions, after the server was killed and started again', async () => {
    const client = await joined({ instance: `staying-${m}` })
    const reads = await routed(client)
    const known = async () => (await server.instances()).find(({ id }) => id === `staying-${m}`)
    await waitFor(held)
    await server.kill()
    await waitFor(() => !client.status().connected)
    expect(await reads.read('a')).toBe('old')
    const asked = polls().length
    await server.start()
    await waitFor(() => client.status().registered)
    expect(await known()).toMatchObject({ live: true })
    await waitFor(async () => (await server.gate(m)).open)
    // What it holds is still right, and was not sent again.
    expect(
      polls()
        .slice(asked)
        .find(({ status }) => (status ?? 0) > 0)?.status,
    ).toBe(304)
  })

  it('lets a server that stops go, and says goodbye when it closes', async () => {
    const client = await joined({ instance: `leaving-${m}` })
    await routed(client)
    await waitFor(held)
    await server.kill('SIGTERM')
    await server.start()
    await waitFor(() => client.status().registered)
    await client.close()
    expect((await server.instances()).map(({ id }) => id)).not.toContain(`leaving-${m}`)
  })

  it('registers again when it was forgotten by name', async () => {
    const client = await joined({ instance: `forgotten-${m}` })
    await routed(client)
    await server.call('DELETE', `/v1/instances/forgotten-${m}`, { reason: 'thought to be gone' })
    await waitFor(async () => (await server.instances()).some(({ id }) => id === `forgotten-${m}`))
    await waitFor(() => client.status().registered)
  })

  it('is refused with a wrong token', async () => {
    await expect(joined({ token: 'wrong' })).rejects.toMatchObject({ code: 'unauthorized' })
  })

  it('keeps no process alive', async () => {
    const script = `
      import { connect } from '@switchback/sdk'
      const [url, token] = process.argv.slice(1)
      const client = await connect({ url, token, app: 'job', version: '1', transport: 'polling' })
      console.log(client.status().registered)
    `
    const child = spawnNode(['--input-type=module', '-e', script, proxy.url, token], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
    })
    expect(await child.exited).toMatchObject({ code: 0 })
    expect(child.stdout()).toBe('true\n')
  })
})

describe('an instance that finds out how to reach the server', () => {
  it('uses a websocket where that gets through, and asks for nothing else', async () => {
    const client = await joined({ transport: 'auto' })
    await routed(client)
    expect(proxy.upgrades).toBe(1)
    expect(polls()).toEqual([])
  })

  it('polls while websockets are refused, and goes back to one as soon as it gets through', async () => {
    proxy.websockets = false
    const client = await joined({ transport: 'auto' })
    await routed(client)
    await waitFor(held)
    await server.advance(m)
    const { epoch } = await server.state(m)
    await waitFor(() => applied(client) === epoch)
    const told: boolean[] = []
    client.subscribe({ connection: (isUp) => told.push(isUp) })
    proxy.websockets = true
    await waitFor(() => told.length > 0, { what: 'the registration over the websocket' })
    await waitFor(() => !held())
    const asked = polls().length
    await server.call('POST', `/v1/migrations/${m}/revert`, { reason: 'a test' })
    const after = (await server.state(m)).epoch
    await waitFor(() => applied(client) === after)
    expect(polls()).toHaveLength(asked)
    // It was never told to be cut off: there was always one way.
    expect(told).not.toContain(false)
  })

  it('asks nobody else while nobody listens', async () => {
    await proxy.stop()
    const client = await joined({ transport: 'auto', startTimeout: 50 })
    expect(client.status().connected).toBe(false)
    await proxy.start()
    await waitFor(() => client.status().registered)
    expect(polls()).toEqual([])
  })

  it('is refused with a wrong token even where a proxy refuses the websocket first', async () => {
    proxy.websockets = false
    await expect(joined({ transport: 'auto', token: 'wrong' })).rejects.toMatchObject({
      code: 'unauthorized',
    })
  })
})
