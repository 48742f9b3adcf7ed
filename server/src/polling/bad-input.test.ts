import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer, RegistrationAnswer } from '@switchback/migrations-registry'
import { testStore, waitFor } from '@switchback/test/support'
import { io } from 'socket.io-client'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { registrationOf, type TestApi, testApi } from '../http/test-api.ts'
import { createRevisions } from '../push/create-revisions.ts'
import { createPush } from '../push/push.ts'
import { createSnapshots } from '../push/snapshots.ts'

const store = await testStore()
const { db } = store
const log = { info: () => undefined, warn: () => undefined }
const M = 'm'
const ACTOR = { name: 'ann' }

let api: TestApi
let url: string
let token: string
let epoch: number
const closing: (() => Promise<unknown> | unknown)[] = []

type Event = 'register' | 'heartbeat' | 'progress' | 'telemetry' | 'goodbye'
/** One process that speaks to the server, by whatever way. */
interface Speaker {
  send(event: Event, body: unknown): Promise<Answer<unknown>>
}

/** Both ways to the server. A request names who speaks; a socket is who registered on it. */
const WAYS = {
  socket: async (): Promise<Speaker> => {
    const socket = io(`${url}/sdk`, {
      transports: ['websocket'],
      auth: { token },
      reconnection: false,
      forceNew: true,
    })
    closing.push(() => socket.disconnect())
    return {
      send: (event, body) => socket.timeout(10_000).emitWithAck(event, body) as Promise<Answer<unknown>>,
    }
  },
  polling: async (): Promise<Speaker> => {
    let of = '/v1/sdk/instances/nobody/EVENT?incarnation=none'
    return {
      send: async (event, body) => {
        if (event === 'register' && isNamed(body)) {
          const [id, incarnation] = [body.instance, body.incarnation].map(encodeURIComponent)
          of = `/v1/sdk/instances/${id}/EVENT?incarnation=${incarnation}`
        }
        const path = event === 'register' ? '/v1/sdk/register' : of.replace('EVENT', event)
        const response = await fetch(url + path, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
        const text = await response.text()
        const value = text === '' ? null : JSON.parse(text)
        if (response.ok) return { ok: true, value }
        const { code, detail, retryable } = value
        return { ok: false, error: { code, message: detail, retryable: retryable ?? false } }
      },
    }
  },
}
const isNamed = (body: unknown): body is { instance: string; incarnation: string } =>
  typeof body === 'object' && body !== null && 'instance' in body

const registration = (instance = 'i-1', incarnation = 'first') => ({
  ...registrationOf(instance, M),
  incarnation,
})
const beat = (applied: number, drained = applied) => ({
  revision: 1,
  positions: { [M]: { applied, drained } },
})

/** What the gate knows of the fleet, without the times. */
const gateView = async () =>
  (await api.fleet.factsFor(db, M, [])).map(({ id, applied, drained, handlers }) => ({
    id,
    applied,
    drained,
    handlers: [...handlers].sort(),
  }))
/** The socket and HTTP have names of their own for what does not fit the schema. */
const MALFORMED = /^(bad-message|invalid-request)$/
const codeOf = (answer: Answer<unknown>) => (answer.ok ? 'ok' : answer.error.code)
const lapse = (id: string) =>
  db.query(`update instances set lease_until = now() - interval '1 s' where id = $1`, [id])
const advance = async () => {
  const result = await api.phases.command(M, { type: 'advance' }, ACTOR)
  if (!result.ok) throw new Error(result.refusal.message)
  epoch = result.migration.state.epoch
}

beforeEach(async () => {
  api = testApi(db)
  token = await api.token('sdk')
  await api.ramped(M, 'rollout: [{ share: 10% }, { share: 100% }]\n')
  epoch = (await api.phases.get(M))?.state.epoch ?? 0
  const httpServer = createServer(api.app)
  const revisions = await createRevisions({ db, log, pollMs: 20 })
  const push = await createPush({
    httpServer,
    db,
    auth: (text) => api.tokens.authenticate(text),
    fleet: api.fleet,
    snapshots: createSnapshots({ db }),
    revisions,
    telemetry: () => undefined,
    log,
  })
  await new Promise<void>((resolve) => httpServer.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(httpServer.address() as AddressInfo).port}`
  closing.push(async () => {
    await push.stop()
    await revisions.stop()
    await api.stop()
    const closed = new Promise((resolve) => httpServer.close(resolve))
    httpServer.closeAllConnections()
    await closed
  })
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await db.query('truncate instances, migrations, flags, removals, incidents, audit_events cascade')
})
afterAll(() => store.drop())

describe.each(Object.entries(WAYS))('by %s', (_way, open) => {
  /** What is sent by a process that is registered and has applied, but not drained, the present epoch. */
  const CASES: readonly {
    readonly what: string
    readonly event: Event
    readonly body: () => unknown
    readonly code: string
    readonly retryable?: boolean
  }[] = [
    {
      what: 'an ack of an epoch that was never given out',
      event: 'progress',
      body: () => beat(epoch + 1),
      code: 'impossible-position',
      retryable: true,
    },
    {
      what: 'a heartbeat that claims an epoch of the far future',
      event: 'heartbeat',
      body: () => beat(Number.MAX_SAFE_INTEGER),
      code: 'impossible-position',
      retryable: true,
    },
    {
      what: 'drained beyond applied',
      event: 'progress',
      body: () => beat(epoch - 1, epoch),
      code: 'impossible-position',
      retryable: false,
    },
    { what: 'a negative epoch', event: 'progress', body: () => beat(-1), code: 'malformed' },
    { what: 'an epoch that is no whole number', event: 'progress', body: () => beat(1.5), code: 'malformed' },
    {
      what: 'an epoch as text',
      event: 'heartbeat',
      body: () => ({ revision: 1, positions: { [M]: { applied: `${epoch}`, drained: `${epoch}` } } }),
      code: 'malformed',
    },
    {
      what: 'the id of another instance in a report',
      event: 'progress',
      body: () => ({ ...beat(epoch), instance: 'i-2' }),
      code: 'malformed',
    },
    { what: 'an ack of an epoch long passed', event: 'progress', body: () => beat(1), code: 'ok' },
    { what: 'an ack of epoch 0', event: 'heartbeat', body: () => beat(0), code: 'ok' },
    {
      what: 'an ack of a migration that does not exist',
      event: 'progress',
      body: () => ({ revision: 1, positions: { nothing: { applied: 7, drained: 7 } } }),
      code: 'ok',
    },
    {
      what: 'a revision of the future',
      event: 'heartbeat',
      body: () => ({ revision: Number.MAX_SAFE_INTEGER, positions: {} }),
      code: 'ok',
    },
    {
      what: 'a registration that claims an epoch of the future',
      event: 'register',
      body: () => ({ ...registration(), positions: { [M]: { applied: epoch + 1, drained: epoch + 1 } } }),
      code: 'impossible-position',
      retryable: true,
    },
    {
      what: 'a registration of the same process with positions from before',
      event: 'register',
      body: () => ({ ...registration(), positions: { [M]: { applied: 1, drained: 1 } } }),
      code: 'ok',
    },
    {
      what: 'a registration of another process under the same id',
      event: 'register',
      body: () => registration('i-1', 'second'),
      code: 'instance-taken',
      retryable: true,
    },
    {
      what: 'a registration without the handlers that the phase needs, under a new id',
      event: 'register',
      body: () => ({
        ...registration('i-3'),
        migrations: { [M]: { handlers: ['old'], fenced: true } },
      }),
      code: 'missing-handlers',
      retryable: false,
    },
    {
      what: 'a registration in a protocol that nobody speaks',
      event: 'register',
      body: () => ({ ...registration(), protocol: 99 }),
      code: 'protocol',
      retryable: false,
    },
    {
      what: 'a registration under an id that is the server’s own',
      event: 'register',
      body: () => registration('i-1~previous'),
      code: 'protocol',
      retryable: false,
    },
    {
      what: 'measurements that are none',
      event: 'telemetry',
      body: () => ({ dropped: -1 }),
      code: 'malformed',
    },
    { what: 'a goodbye that is none', event: 'goodbye', body: () => [], code: 'malformed' },
  ]

  test.each(CASES)('$what changes nothing the gate sees: $code', async ({ event, body, code, retryable }) => {
    const [speaker, other] = [await open(), await open()]
    await speaker.send('register', registration())
    await other.send('register', registration('i-2'))
    await speaker.send('progress', beat(epoch, epoch - 1))
    const before = await gateView()
    expect(before).toMatchObject([
      { id: 'i-1', applied: epoch, drained: epoch - 1 },
      { id: 'i-2', applied: 0, drained: 0 },
    ])
    const answer = await speaker.send(event, body())
    const expected = code === 'malformed' ? MALFORMED : new RegExp(`^${code}$`)
    expect(codeOf(answer)).toMatch(expected)
    if (!answer.ok) {
      expect(answer.error.message).not.toBe('')
      expect(answer.error.retryable).toBe(retryable ?? false)
    }
    expect(await gateView()).toEqual(before)
    expect((await api.fleet.list({ limit: 9 })).map(({ id, live }) => [id, live])).toEqual([
      ['i-1', true],
      ['i-2', true],
    ])
  })

  test('replayed and out of order, reports count once and never backwards', async () => {
    const speaker = await open()
    await speaker.send('register', registration())
    const reports = [beat(1), beat(epoch, 2), beat(2, 1), beat(epoch - 1), beat(1), beat(epoch, 2)]
    for (const report of reports) expect((await speaker.send('progress', report)).ok).toBe(true)
    expect(await gateView()).toMatchObject([{ applied: epoch, drained: epoch - 1 }])
    const answers = await Promise.all(
      [...reports].reverse().map((report) => speaker.send('heartbeat', report)),
    )
    expect(answers.every(({ ok }) => ok)).toBe(true)
    expect(await gateView()).toMatchObject([{ applied: epoch, drained: epoch - 1 }])
    expect((await api.phases.gate(M))?.blockers).toMatchObject([
      { code: 'instance-not-drained', subject: 'i-1' },
    ])
  })

  test.each(['heartbeat', 'progress', 'telemetry', 'goodbye'] as const)(
    'a %s after goodbye, of nobody, or after being forgotten is refused, and brings nobody back',
    async (event) => {
      const body = event === 'telemetry' ? { measurements: [], dropped: 0 } : beat(0)
      const [gone, forgotten, nobody] = [await open(), await open(), await open()]
      await gone.send('register', registration('gone'))
      await forgotten.send('register', registration('forgotten'))
      expect(codeOf(await gone.send('goodbye', beat(0)))).toBe('ok')
      await api.fleet.forget('forgotten', 'a test', 'ann')
      for (const speaker of [gone, forgotten, nobody]) {
        const answer = await waitFor(async () => {
          const given = await speaker.send(event, body)
          // The news that it was forgotten may still be on its way to the socket, whose measurements nobody looks at.
          return event === 'telemetry' && given.ok ? undefined : given
        })
        expect(answer).toMatchObject({ ok: false, error: { code: 'unknown-instance', retryable: true } })
      }
      expect(await gateView()).toEqual([])
      expect((await api.phases.gate(M))?.blockers).toEqual([])
    },
  )

  test('two processes with one id: the second waits, and the first is never counted for it', async () => {
    const [first, second] = [await open(), await open()]
    await first.send('register', registration())
    await first.send('progress', beat(epoch, epoch - 1))
    expect(codeOf(await second.send('register', registration('i-1', 'second')))).toBe('instance-taken')
    expect(codeOf(await second.send('progress', beat(epoch)))).toBe('unknown-instance')
    expect(await gateView()).toMatchObject([{ id: 'i-1', drained: epoch - 1 }])
    await lapse('i-1')
    expect(codeOf(await second.send('register', registration('i-1', 'second')))).toBe('ok')
    expect(codeOf(await second.send('progress', beat(epoch)))).toBe('ok')
    // The first may still be at work: what it has not drained stays on the books, under a name of its own.
    expect(await gateView()).toMatchObject([
      { id: 'i-1', drained: epoch },
      { id: 'i-1~previous', applied: epoch, drained: epoch - 1 },
    ])
    for (const event of ['heartbeat', 'progress'] as const) {
      const answer = await waitFor(async () => {
        const given = await first.send(event, beat(epoch))
        return given.ok ? undefined : given
      })
      expect(codeOf(answer)).toBe('unknown-instance')
    }
    expect(await gateView()).toMatchObject([{ drained: epoch }, { drained: epoch - 1 }])
  })

  test('nobody speaks for the processes that one id had before, whatever it is called', async () => {
    for (const incarnation of ['first', 'second', 'third']) {
      const speaker = await open()
      expect(codeOf(await speaker.send('register', registration('i-1', incarnation)))).toBe('ok')
      await speaker.send('progress', beat(epoch, epoch - 1))
      await lapse('i-1')
    }
    await api.fleet.goodbye('i-1', 'third', beat(epoch))
    const before = await gateView()
    expect(before).toMatchObject([{ id: 'i-1~previous', applied: epoch, drained: epoch - 1 }])
    const { rows } = await db.query<{ incarnation: string }>('select incarnation from instances')
    // What they are kept under can be read in the source, and what it was in versions before.
    for (const [instance, incarnation, code] of [
      ['i-1', rows[0]?.incarnation, MALFORMED],
      ['i-1~previous', rows[0]?.incarnation, MALFORMED],
      ['i-1', 'several', /^ok$/],
      ['i-1~previous', 'several', /^protocol$/],
    ] as const) {
      const speaker = await open()
      expect(codeOf(await speaker.send('register', registration(instance, incarnation)))).toMatch(code)
      for (const event of ['progress', 'heartbeat', 'goodbye'] as const) {
        await speaker.send(event, beat(epoch))
      }
      expect(await gateView()).toEqual(before)
    }
  })

  test('a late ack of the epoch before counts for that epoch only', async () => {
    const speaker = await open()
    await speaker.send('register', registration())
    await speaker.send('progress', beat(epoch))
    const passed = epoch
    await advance()
    expect(epoch).toBe(passed + 1)
    expect(codeOf(await speaker.send('progress', beat(passed)))).toBe('ok')
    expect((await api.phases.gate(M))?.blockers).toMatchObject([
      { code: 'instance-not-drained', subject: 'i-1' },
    ])
    expect(codeOf(await speaker.send('progress', beat(epoch)))).toBe('ok')
    expect((await api.phases.gate(M))?.blockers).toEqual([])
  })

  test.each([-86_400_000, 86_400_000])(
    'the clock of a client that jumps by %s ms has no say: no message carries a time',
    async (ms) => {
      const speaker = await open()
      const answer = (await speaker.send('register', registration())) as Answer<RegistrationAnswer>
      expect(answer).toMatchObject({ ok: true, value: { leaseMs: 15_000 } })
      const at = Date.now() + ms
      // Whoever sends one all the same is told that there is no such field.
      for (const extra of [{ at }, { sentAt: at }, { leaseUntil: at }]) {
        const given = await speaker.send('heartbeat', { ...beat(0), ...extra })
        expect(codeOf(given)).toMatch(MALFORMED)
      }
      // An operation that seems to have begun tomorrow, or a day ago, is still an operation that is in flight.
      const oldest = { kind: 'write', ageMs: Math.max(0, -ms) }
      const report = { revision: 1, positions: { [M]: { applied: epoch, drained: epoch - 1, oldest } } }
      expect(codeOf(await speaker.send('progress', report))).toBe('ok')
      const negative = { ...oldest, ageMs: -1 }
      const bad = { revision: 1, positions: { [M]: { applied: epoch, drained: epoch, oldest: negative } } }
      expect(codeOf(await speaker.send('progress', bad))).toMatch(MALFORMED)
      expect((await api.phases.gate(M))?.blockers).toMatchObject([{ code: 'instance-not-drained' }])
      const [listed] = await api.fleet.list({ limit: 1 })
      expect(listed).toMatchObject({ live: true })
      expect(Math.abs((listed?.leaseUntil ?? 0) - Date.now())).toBeLessThan(60_000)
    },
  )
})
