import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestApi } from '../http/test-api.ts'
import { testApi } from '../http/test-api.ts'
import { SOURCE_KINDS, type SourceKind } from '../receivers/receivers.ts'
import { deliver, sns, TOPIC } from './deliveries-for-tests.ts'

let store: TestStore
let api: TestApi
let server: Server
let url: string
let alert: string
const secrets = new Map<SourceKind, string>()

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db, { askSns: async () => sns.certificate })
  await api.ramped('profiles')
  server = createServer(api.app).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  alert = await api.token('alert')
  for (const kind of SOURCE_KINDS) {
    const given = kind === 'sentry' || kind === 'pagerduty' ? `made-by-${kind}-0123456789` : undefined
    const made = await api.sources.create(
      {
        name: kind,
        kind,
        settings: kind === 'cloudwatch' ? { topics: [TOPIC] } : {},
        ...(given === undefined ? {} : { secret: given }),
      },
      'test',
    )
    if (!made.ok) throw new Error(made.message)
    secrets.set(kind, made.secret ?? given ?? 'there is none')
  }
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await api.stop()
  await store.drop()
})

const send = (kind: SourceKind, body: string | Buffer, headers: Readonly<Record<string, string>>) =>
  fetch(`${url}/v1/hooks/${kind}`, { method: 'POST', headers, body })

/** After whatever came in: it runs, nothing was reverted, and no secret was told to the log or to anybody. */
async function unharmed(): Promise<void> {
  await api.inbox.process()
  expect(api.faults).toEqual([])
  const state = (await api.phases.get('profiles'))?.state
  expect([state?.phase, state?.paused, state?.latch]).toEqual(['ramp', false, undefined])
  expect((await store.db.query('select from incidents')).rowCount).toBe(0)
  const logged = api.logged.join('')
  for (const secret of [...secrets.values(), alert]) expect(logged).not.toContain(secret)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
}

const ODD_TEXT = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '\0',
    'a\0b',
    '\ud800',
    '__proto__',
    'constructor',
    'toString',
    '',
    '9'.repeat(400),
    '../..',
    "'; drop table alerts; --",
  ),
)
const ODD_VALUE: fc.Arbitrary<unknown> = fc.oneof(
  ODD_TEXT,
  fc.constantFrom(
    null,
    true,
    -1,
    1e308,
    Number.MAX_SAFE_INTEGER,
    [],
    {},
    [[]],
    '+275760-09-13T00:00:00Z',
    '0000-00-00',
  ),
  fc.double({ noNaN: true }),
  fc.jsonValue(),
)

/** A real payload with some of its places changed, taken out, or joined by strange keys. */
function mutate(value: unknown, random: () => number, odd: () => unknown): unknown {
  if (random() < 0.08) return odd()
  if (Array.isArray(value)) {
    const items = value.map((each) => mutate(each, random, odd))
    return random() < 0.1 ? [...items, ...items] : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
    .filter(() => random() > 0.06)
    .map(([key, each]) => [key, mutate(each, random, odd)] as const)
  const object = Object.fromEntries(entries)
  if (random() < 0.15) Object.defineProperty(object, '__proto__', { value: odd(), enumerable: true })
  if (random() < 0.1) Object.defineProperty(object, 'constructor', { value: odd(), enumerable: true })
  return object
}

type Place = readonly string[]

function textPlaces(value: unknown, at: Place = []): readonly Place[] {
  if (typeof value === 'string') return [at]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, each]) => textPlaces(each, [...at, key]))
}

/** The payload with more text in one place. */
function extended(value: unknown, [key, ...rest]: Place, text: string): unknown {
  if (key === undefined) return `${String(value)}${text}`
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value)
    ? [...value]
    : { ...(value as object) }
  Object.assign(copy, { [key]: extended(Object(value)[key], rest, text) })
  return copy
}

describe.each(SOURCE_KINDS)('%s', (kind) => {
  const signed = (change: (payload: Record<string, unknown>) => unknown, id: string) =>
    deliver(kind, { secret: secrets.get(kind) ?? '', labels: { migration: 'nowhere' }, id, change })

  test('mutated payloads that are rightly signed never fail the server', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        fc.infiniteStream(ODD_VALUE),
        fc.uuid(),
        async (numbers, odds, id) => {
          const random = () => Number(numbers.next().value ?? 0)
          const { body, headers } = signed((payload) => mutate(payload, random, () => odds.next().value), id)
          const { status } = await send(kind, body, headers)
          expect([202, 401, 422, 503]).toContain(status)
        },
      ),
      { numRuns: 60 },
    )
    await unharmed()
  })

  test('text that no store can hold is taken in every place that takes text', async () => {
    const odd = ' \0 \ud800 \udc00\ud83d'
    const seen: unknown[] = []
    signed((payload) => seen.push(payload) && payload, 'to be looked at')
    const places = textPlaces(seen[0])
    expect(places.length).toBeGreaterThan(3)
    for (const [n, place] of places.entries()) {
      const change = (payload: Record<string, unknown>) => extended(payload, place, odd)
      const { body, headers } = signed(change, `odd-${n}`)
      expect([202, 422]).toContain((await send(kind, body, headers)).status)
    }
    await unharmed()
  })

  test('bodies of any bytes, and proofs of any text, are refused', async () => {
    const real = deliver(kind, { secret: 'not the secret of anybody' })
    // SNS needs no secret: there the body is not the one that was signed.
    const body = real.body.replace('Threshold', 'threshold')
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }).map(Buffer.from),
          fc.json().map(Buffer.from),
          fc.constant(Buffer.from(body)),
        ),
        fc.dictionary(
          fc.constantFrom(...Object.keys(real.headers)),
          fc.stringMatching(/^[\x21-\x7e]{0,80}$/),
        ),
        async (bytes, odd) => {
          const response = await send(kind, bytes, { ...real.headers, ...odd })
          expect([401, 413, 415]).toContain(response.status)
        },
      ),
      { numRuns: 40 },
    )
    await unharmed()
  })

  test.each([
    ['a body beyond the limit', 'x'.repeat(1_100_000), [401, 413]],
    ['a nest of lists', '['.repeat(400_000), [401, 422]],
    ['a nest of objects', '{"a":'.repeat(150_000), [401, 422]],
    ['a nest that closes', '['.repeat(200_000) + ']'.repeat(200_000), [401, 422]],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), [401, 422]],
    ['nothing', '', [401, 422]],
  ])('%s is refused', async (_, body, statuses) => {
    const bearer = { authorization: `Bearer ${secrets.get(kind)}`, 'content-type': 'application/json' }
    expect(statuses).toContain((await send(kind, body, bearer)).status)
    await unharmed()
  })
})

test('the routes for tokens bear mutated payloads as well', async () => {
  const headers = { authorization: `Bearer ${alert}`, 'content-type': 'application/json' }
  for (const [path, kind] of [
    ['/v1/alerts', 'plain'],
    ['/v1/alerts/alertmanager', 'alertmanager'],
  ] as const) {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        fc.infiniteStream(ODD_VALUE),
        async (numbers, odds) => {
          const change = (payload: unknown) =>
            mutate(
              payload,
              () => Number(numbers.next().value ?? 0),
              () => odds.next().value,
            )
          const { body } = deliver(kind, { secret: '-', labels: { migration: 'nowhere' }, change })
          const { status } = await fetch(url + path, { method: 'POST', headers, body })
          expect([202, 400, 503]).toContain(status)
        },
      ),
      { numRuns: 60 },
    )
  }
  await unharmed()
})
