import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { testStore, waitFor } from '@switchback/test/support'
import { io, type Socket } from 'socket.io-client'
import { afterAll, afterEach, expect, test } from 'vitest'
import { recordChange } from '../changes/record-change.ts'
import { createFleet } from '../fleet/fleet.ts'
import { createCookies } from '../sign-on/cookies.ts'
import { createSocketDoor } from '../sign-on/session-door.ts'
import { createRevisions } from './create-revisions.ts'
import { createPush } from './push.ts'
import { createSnapshots } from './snapshots.ts'

const store = await testStore()
const { db } = store
const log = { info: () => undefined, warn: () => undefined }
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => store.drop())

const ANN = { id: 'idn_1', name: 'ann', role: 'admin' } as const

/** A server whose only session is Ann's. */
async function start() {
  const httpServer = createServer((_request, response) => response.end())
  await new Promise<void>((resolve) => httpServer.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(httpServer.address() as AddressInfo).port}`
  const revisions = await createRevisions({ db, log, pollMs: 20 })
  const fleet = createFleet({ db, clock: Date.now, server: 's', log, announce: revisions.announce })
  const known = new Map([['sbs_ann', ANN]])
  const uses: (string | undefined)[] = []
  const push = await createPush({
    httpServer,
    db,
    auth: async () => undefined,
    sessions: createSocketDoor({
      sessions: {
        authenticate: async (text, use) => {
          uses.push(use)
          return known.get(text)
        },
      },
      cookies: createCookies(origin),
      origin,
    }),
    fleet,
    snapshots: createSnapshots({ db }),
    revisions,
    telemetry: () => undefined,
    log,
  })
  closing.push(async () => {
    await push.stop()
    await fleet.stop()
    await revisions.stop()
    await new Promise((resolve) => httpServer.close(resolve))
  })
  return { origin, known, uses }
}

function connect(url: string, headers: Record<string, string>): Socket {
  const socket = io(url, {
    transports: ['websocket'],
    extraHeaders: headers,
    reconnection: false,
    forceNew: true,
  })
  closing.push(async () => socket.disconnect())
  return socket
}

const outcome = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    socket.once('connect', () => resolve('connected'))
    socket.once('connect_error', ({ message }) => resolve(message))
  })

const COOKIE = 'other=1; switchback-session=sbs_ann'

test('a page of this server is let in by its cookie, and looking on counts as no use', async () => {
  const { origin, uses } = await start()
  expect(await outcome(connect(`${origin}/console`, { cookie: COOKIE, origin }))).toBe('connected')
  expect(uses).toEqual(['looked-at'])
})

test.each([
  ['a page of another site', '/console', { cookie: COOKIE, origin: 'https://evil.example' }],
  ['nobody knows where from', '/console', { cookie: COOKIE }],
  ['an instance, which takes a token', '/sdk', { cookie: COOKIE }],
  ['a session that is over', '/console', { cookie: 'switchback-session=sbs_ben' }],
])('a cookie opens no socket to %s', async (_, namespace, headers) => {
  const { origin } = await start()
  const own = namespace === '/sdk' || headers.cookie !== COOKIE ? { origin, ...headers } : headers
  expect(await outcome(connect(origin + namespace, own))).toMatch(/Connect with|unknown, expired or revoked/)
})

test('the socket ends with its session', async () => {
  const { origin, known } = await start()
  const socket = connect(`${origin}/console`, { cookie: COOKIE, origin })
  expect(await outcome(socket)).toBe('connected')
  known.delete('sbs_ann')
  await db.tx((tx) =>
    recordChange(tx, { at: Date.now(), actor: 'x', kind: 'session.ended', subject: 'ses_1' }),
  )
  // Well before the look once a minute, which would end it as well.
  await waitFor(() => socket.disconnected, { what: 'the socket to be ended', timeoutMs: 30_000 })
})
