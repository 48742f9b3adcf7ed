import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultConfig, type MigrationConfig, type Snapshot } from '@switchback/migrations-registry'
import { type ConnectOptions, connect, type Log, type Switchback } from '@switchback/sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePort, waitFor } from '../support/index.ts'
import { startWireServer, TOKEN, type WireServer } from './wire-server.ts'

const config = (epoch: number, more: Partial<MigrationConfig> = {}): MigrationConfig => ({
  ...defaultConfig('m'),
  phase: 'dual-write',
  epoch,
  ...more,
})
const serving = (epoch: number, variant: 'old' | 'new'): MigrationConfig =>
  config(epoch, { read: { kind: 'fixed', variant } })
const snapshot = (revision: number, ...migrations: MigrationConfig[]): Snapshot => ({
  revision,
  migrations,
  flags: [],
})

let server: WireServer
const clients: Switchback[] = []
const servers: WireServer[] = []
const logged: string[] = []
const log: Log = {
  info: () => undefined,
  warn: (message) => void logged.push(message),
  error: (message) => void logged.push(message),
}

const start = async (state: Snapshot, port?: number): Promise<WireServer> => {
  const started = await startWireServer(state, port)
  servers.push(started)
  return started
}
/** `random: 0`: reconnects happen at once, so that no test waits for jitter. */
const joined = async (options: Partial<ConnectOptions> = {}): Promise<Switchback> => {
  const client = await connect({
    url: server.url,
    token: TOKEN,
    app: 'rides-api',
    version: '1.0.0',
    log,
    random: () => 0,
    closeTimeout: 200,
    ...options,
  })
  clients.push(client)
  return client
}
const paths = (client: Switchback) =>
  client.migration('m', {
    key: (id: string) => id,
    read: { old: async () => 'old', new: async () => 'new' },
    write: { old: async () => 'old', new: async () => 'new' },
  })

beforeEach(async () => {
  logged.length = 0
  server = await start(snapshot(1, serving(3, 'old')))
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await Promise.all(servers.splice(0).map((started) => started.stop()))
})

describe('connecting', () => {
  it('registers what is declared in one go with one message, before the first operation runs', async () => {
    const client = await joined()
    let release: () => void = () => undefined
    server.hold = new Promise((resolve) => {
      release = resolve
    })
    const m = paths(client)
    client.migration('other', { key: (id: string) => id, read: { new: async (id) => id } })
    const read = m.read('a')
    await waitFor(() => server.received.registrations.length === 2)
    expect(client.status().positions.m?.oldest).toBeUndefined()
    release()
    expect(await read).toBe('old')
    await client.ready()
    const [first, second] = server.received.registrations
    expect(first?.migrations).toEqual({})
    expect(second?.migrations).toEqual({
      m: { handlers: ['old', 'new'], fenced: false },
      other: { handlers: ['new'], fenced: false },
    })
    expect(second?.incarnation).toBe(first?.incarnation)
    expect(server.received.registrations).toHaveLength(2)
  })

  it.each([
    ['url', { url: 'switchback.example' }],
    ['token', { token: '' }],
    ['onLeaseExpired', { onLeaseExpired: 'never' as 'hold' }],
    ['bootstrap', { bootstrap: { revision: -1 } as Snapshot }],
  ])('refuses a bad %s', async (name, options) => {
    await expect(joined(options)).rejects.toMatchObject({
      code: 'bad-options',
      message: expect.stringContaining(name),
    })
  })

  it('rejects for a wrong token', async () => {
    await expect(joined({ token: 'wrong' })).rejects.toMatchObject({ code: 'unauthorized', retryable: false })
  })

  it('rejects where the server refuses the instance for good', async () => {
    server.refuse = () => ({ code: 'protocol', message: 'too old', retryable: false })
    await expect(joined()).rejects.toMatchObject({ code: 'refused', retryable: false })
  })

  it('waits for the handlers where the server misses them and none were declared yet', async () => {
    server.refuse = ({ migrations }) =>
      migrations.m?.handlers.includes('new')
        ? undefined
        : { code: 'missing-handlers', message: 'm', retryable: false }
    const client = await joined()
    expect(client.status()).toMatchObject({ registered: false, revision: 1 })
    expect(await paths(client).read('a')).toBe('old')
    await client.ready()
    expect(client.status().registered).toBe(true)
  })

  it('rejects operations and ready() of handlers that are refused, until a change makes them fit', async () => {
    server.refuse = () => ({ code: 'missing-handlers', message: 'm needs new', retryable: false })
    const client = await joined()
    const m = paths(client)
    await expect(m.read('a')).rejects.toMatchObject({ code: 'refused' })
    await expect(client.ready()).rejects.toMatchObject({ code: 'refused' })
    server.refuse = undefined
    server.set(serving(4, 'new'))
    await waitFor(() => client.status().registered)
    expect(await m.read('a')).toBe('new')
    await client.ready()
  })

  it.each(['unknown-instance', 'out-of-scope'])(
    'registers again where its heartbeat is answered %s, and so hears why',
    async (code) => {
      server.heartbeatMs = 20
      const client = await joined()
      const before = server.received.registrations.length
      server.refuse = () => ({ code, message: 'told when it registers', retryable: false })
      server.refuseBeats = code
      await waitFor(() => server.received.registrations.length > before)
      await waitFor(() => !client.status().registered)
    },
  )

  it('tries a refusal that may pass again', async () => {
    server.refuse = () => ({ code: 'store-unavailable', message: 'later', retryable: true })
    const client = joined({ startTimeout: 10_000 })
    await waitFor(() => server.received.registrations.length >= 2)
    server.refuse = undefined
    expect((await client).status().registered).toBe(true)
  })

  it('starts with the defaults, with a bootstrap, or from disk where the server is gone, and connects later', async () => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const offline = { url, startTimeout: 20 }
    const byDefault = await joined(offline)
    expect(await paths(byDefault).read('a')).toBe('old')
    const bootstrapped = await joined({ ...offline, bootstrap: snapshot(1, serving(3, 'new')) })
    expect(await paths(bootstrapped).read('a')).toBe('new')
    expect(bootstrapped.status().positions).toMatchObject({ m: { applied: 3, drained: 3 } })

    const late = await start(snapshot(2, serving(4, 'new')), port)
    await waitFor(() => byDefault.status().registered && bootstrapped.status().registered)
    expect(byDefault.status().positions).toMatchObject({ m: { applied: 4, drained: 4 } })
    expect(late.received.registrations.map(({ positions }) => positions.m?.applied).sort()).toEqual([0, 3])
  })

  it('keeps the last good state on disk, and never believes an older one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchback-sdk-'))
    const stateFile = join(folder, 'state.json')
    try {
      const before = await joined({ stateFile })
      server.set(serving(4, 'new'))
      await waitFor(() => before.status().revision === 2)
      await before.close()
      expect(JSON.parse(await readFile(stateFile, 'utf8'))).toMatchObject({ revision: 2 })
      await server.stop()
      const offline = await joined({ stateFile, startTimeout: 20, bootstrap: snapshot(1, serving(3, 'old')) })
      expect(await paths(offline).read('a')).toBe('new')
      server = await start(snapshot(1, serving(3, 'old')))
      const behind = await joined({ stateFile })
      expect(await paths(behind).read('a')).toBe('new')
      expect(behind.status().dropped.olderStates).toBeGreaterThan(0)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('changes', () => {
  it('are applied as they come, and reported with what is still in flight', async () => {
    const client = await joined()
    let release: (value: string) => void = () => undefined
    const m = client.migration('m', {
      key: (id: string) => id,
      read: {
        old: () =>
          new Promise<string>((resolve) => {
            release = resolve
          }),
        new: async () => 'new',
      },
    })
    await client.ready()
    const slow = m.read('a')
    server.set(serving(4, 'new'))
    await waitFor(() => server.received.progress.some(({ positions }) => positions.m?.applied === 4))
    expect(server.received.progress.at(-1)?.positions.m).toMatchObject({
      applied: 4,
      drained: 3,
      oldest: { kind: 'read' },
    })
    expect(await m.read('b')).toBe('new')
    release('old')
    expect(await slow).toBe('old')
    await waitFor(() => server.received.progress.some(({ positions }) => positions.m?.drained === 4))
  })

  it('with a gap before them are made good by fetching everything', async () => {
    const client = await joined()
    const m = paths(client)
    await client.ready()
    server.set(serving(4, 'old'), { lose: true })
    server.set(serving(5, 'new'))
    await waitFor(() => client.status().revision === 3)
    expect(server.received.syncs).toBe(1)
    expect(await m.read('a')).toBe('new')
  })

  it('that are older or known do nothing', async () => {
    const client = await joined()
    server.set(serving(4, 'new'))
    await waitFor(() => client.status().revision === 2)
    const empty = { flags: [], removedMigrations: [], removedFlags: [] }
    server.emit({ ...empty, since: 0, revision: 1, migrations: [serving(3, 'old')] })
    server.emit({ ...empty, since: 2, revision: 3, migrations: [serving(3, 'old')] })
    await waitFor(() => client.status().revision === 3)
    expect(client.status().dropped.olderStates).toBe(1)
    expect(await paths(client).read('a')).toBe('new')
  })

  it('that cannot be read are counted, and everything is fetched', async () => {
    const client = await joined()
    server.set(serving(4, 'new'), { lose: true })
    server.emit({ since: 'yesterday' })
    await waitFor(() => client.status().revision === 2)
    expect(client.status().dropped.badMessages).toBe(1)
  })

  it('that were lost are found out by the next heartbeat', async () => {
    server.heartbeatMs = 10
    const client = await joined()
    server.set(serving(4, 'new'), { lose: true })
    await waitFor(() => client.status().revision === 2)
  })
})

describe('a lost connection', () => {
  it('is made again, with the positions and what was missed', async () => {
    const client = await joined()
    const m = paths(client)
    await client.ready()
    const before = server.received.registrations.length
    server.set(serving(4, 'new'), { lose: true })
    server.cut()
    await waitFor(() => server.received.registrations.length > before && client.status().registered)
    const again = server.received.registrations.at(-1)
    expect(again?.positions).toEqual({ m: { applied: 3, drained: 3 } })
    expect(again?.incarnation).toBe(server.received.registrations[0]?.incarnation)
    expect(await m.read('a')).toBe('new')
  })

  it('survives a restart of the server, and works on meanwhile', async () => {
    const client = await joined()
    const m = paths(client)
    await client.ready()
    const port = Number(new URL(server.url).port)
    await server.stop()
    await waitFor(() => !client.status().connected)
    expect(await m.read('a')).toBe('old')
    server = await start(snapshot(2, serving(4, 'new')), port)
    await waitFor(() => client.status().registered)
    expect(await m.read('a')).toBe('new')
  })

  it("stops the operations at the end of the lease with onLeaseExpired: 'stop' only", async () => {
    server.leaseMs = 300
    const holds = await joined()
    const stops = await joined({ onLeaseExpired: 'stop' })
    const [held, stopped] = [paths(holds), paths(stops)]
    await Promise.all([holds.ready(), stops.ready()])
    expect(await stopped.read('a')).toBe('old')
    await server.stop()
    await waitFor(() => stops.status().leaseLeftMs === 0)
    await expect(stopped.read('a')).rejects.toMatchObject({ code: 'lease-expired', retryable: true })
    await expect(stopped.write('a')).rejects.toMatchObject({ code: 'lease-expired' })
    expect(await held.read('a')).toBe('old')
  })

  it('comes back from a gap of its lease with the state of now, not with the one that it holds', async () => {
    server.leaseMs = 50
    server.heartbeatMs = 200
    const holds = await joined()
    const stops = await joined({ onLeaseExpired: 'stop', instance: 'stops' })
    await Promise.all([paths(holds).write, paths(stops).write, holds.ready(), stops.ready()])
    await waitFor(
      () => server.received.registrations.filter(({ instance }) => instance === 'stops').length > 2,
    )
    // Each heartbeat of either comes after the end of its lease; only who stops then has to register anew.
    await waitFor(() => server.received.heartbeats.length > 4)
    expect(server.received.registrations.filter(({ instance }) => instance !== 'stops').length).toBeLessThan(
      3,
    )
  })
})

describe('an instance that is dismissed', () => {
  it('registers again under a fresh incarnation when it was forgotten', async () => {
    const client = await joined({ instance: 'pod-1' })
    server.dismiss('forgotten')
    await waitFor(() => server.received.registrations.length === 2 && client.status().registered)
    const [first, second] = server.received.registrations
    expect(second?.instance).toBe('pod-1')
    expect(second?.incarnation).not.toBe(first?.incarnation)
  })

  it('goes on under an id of its own when another process has taken its id', async () => {
    const client = await joined({ instance: 'pod-1' })
    server.dismiss('instance-taken')
    await waitFor(() => server.received.registrations.length === 2 && client.status().registered)
    expect(client.instance).toMatch(/^pod-1~[0-9a-f]{8}$/)
    expect(logged.join()).toContain('another process')
  })
})

describe('closing', () => {
  it('waits for what is in flight, then sends the measurements and says goodbye; again does nothing', async () => {
    const client = await joined({ closeTimeout: 10_000 })
    let release: (value: string) => void = () => undefined
    const m = client.migration('m', {
      key: (id: string) => id,
      read: {
        old: () =>
          new Promise<string>((resolve) => {
            release = resolve
          }),
      },
    })
    await client.ready()
    const read = m.read('a')
    const closed = client.close()
    await expect(m.read('b')).rejects.toMatchObject({ code: 'closed' })
    expect(server.received.goodbyes).toHaveLength(0)
    release('done')
    expect(await read).toBe('done')
    await closed
    await client.close()
    expect(server.received.goodbyes).toHaveLength(1)
    expect(server.received.goodbyes[0]?.positions.m).toEqual({ applied: 3, drained: 3 })
    const measured = server.received.telemetry.flatMap(({ measurements }) => measurements)
    expect(measured).toMatchObject([{ migration: 'm', epoch: 3, path: 'old', operation: 'read', count: 1 }])
  })

  it('says no goodbye while an operation is still in flight: the gate must see it', async () => {
    const client = await joined({ closeTimeout: 10 })
    const m = client.migration('m', {
      key: (id: string) => id,
      read: { old: () => new Promise<string>(() => undefined) },
    })
    await client.ready()
    void m.read('a')
    await client.close()
    expect(server.received.goodbyes).toHaveLength(0)
  })
})
