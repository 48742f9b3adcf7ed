import { connect, type Log, type Switchback } from '@switchback/sdk'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { waitFor } from '../support/index.ts'
import { RealServer } from './real-server.ts'

const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

let server: RealServer
const clients: Switchback[] = []

beforeAll(async () => {
  server = await RealServer.start({ HEARTBEAT_MS: '300' })
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
})
afterAll(() => server.drop())

const declared = (client: Switchback, id: string) =>
  client.migration(id, {
    key: (key: string) => key,
    read: { old: async () => 'old', new: async () => 'new' },
    write: { old: async () => 'old', new: async () => 'new' },
  })

it.each(['websocket', 'polling'] as const)(
  'by %s an instance is told of its own migrations alone, and refused with others',
  async (transport) => {
    const [own, foreign] = [`own${transport}`, `foreign${transport}`]
    for (const id of [own, foreign]) await server.expanded(id)
    const token = await server.token('sdk', { migrations: [own] })
    const joined = async () => {
      const options = { url: server.url, token, app: 'rides-api', version: '1', transport, log: SILENT }
      const client = await connect({ ...options, startTimeout: 15_000, closeTimeout: 500 })
      clients.push(client)
      return client
    }
    const client = await joined()
    const reads = declared(client, own)
    await client.ready()
    expect(client.evaluate(`${own}.read`)).toMatchObject({ value: 'old' })
    expect(client.evaluate(`${foreign}.read`)).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' })
    // The other goes on, which the gate of that one does not wait for this instance to hear of.
    const before = client.status().revision
    await server.advance(foreign)
    await waitFor(() => client.status().revision > before, { what: 'the revision to be heard of' })
    expect(client.evaluate(`${foreign}.write`)).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' })
    await server.advance(own)
    const { epoch } = await server.state(own)
    await waitFor(() => client.status().positions[own]?.applied === epoch, { what: 'the own epoch' })
    expect(await reads.read('a')).toBe('old')

    const other = await joined()
    const handled = [declared(other, own), declared(other, foreign)]
    await expect(other.ready()).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(new RegExp(`out-of-scope.*"${foreign}"`)),
    })
    for (const migration of handled) {
      await expect(migration.read('a')).rejects.toMatchObject({ code: 'refused' })
    }
    expect((await server.gate(foreign)).blockers.map(({ subject }) => subject)).not.toContain(other.instance)
  },
)
