import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestStore } from '@switchback/test/support'
import { testStore, waitFor } from '@switchback/test/support'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestApi } from '../http/test-api.ts'
import { testApi } from '../http/test-api.ts'
import { SOURCE_KINDS, type SourceKind } from '../receivers/receivers.ts'
import type { DeliveryOptions, TestDelivery } from './deliveries-for-tests.ts'
import { deliver, SNS_HOST, sns, TOPIC } from './deliveries-for-tests.ts'

let store: TestStore
let api: TestApi
let server: Server
let url: string
let admin: string
let count = 0
const asked: string[] = []

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db, {
    askSns: async (address) => {
      asked.push(address.href)
      return sns.certificate
    },
  })
  server = createServer(api.app).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  admin = await api.token('admin')
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await api.stop()
  await store.drop()
})

interface Answer {
  readonly status: number
  // What an answer says is looked at piece by piece; each piece is expected where it is used.
  readonly body: ReturnType<typeof JSON.parse>
}

const call = async (method: string, path: string, body?: unknown, token = admin): Promise<Answer> => {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}

const GIVEN: Partial<Record<SourceKind, string>> = {
  sentry: 'a-secret-that-sentry-made',
  pagerduty: 'a-secret-that-pagerduty-made',
}

/** Registers a source; answers with its name and secret. */
async function source(kind: SourceKind, more: object = {}): Promise<{ name: string; secret: string }> {
  const name = `${kind}-${++count}`
  const given = GIVEN[kind] === undefined ? {} : { secret: GIVEN[kind] }
  const topics = kind === 'cloudwatch' ? { topics: [TOPIC] } : {}
  const { status, body } = await call('POST', '/v1/alert-sources', {
    name,
    kind,
    ...given,
    ...topics,
    ...more,
  })
  expect(status).toBe(201)
  return { name, secret: body.secret ?? GIVEN[kind] ?? '' }
}

const post = async (name: string, { body, headers }: TestDelivery): Promise<Answer> => {
  const response = await fetch(`${url}/v1/hooks/${name}`, { method: 'POST', headers, body })
  return { status: response.status, body: await response.json() }
}

const outcomes = async (answer: { body: { accepted: { id: string }[] } }) => {
  await api.inbox.process()
  return await Promise.all(
    answer.body.accepted.map(async ({ id }) => (await call('GET', `/v1/alerts/${id}`)).body),
  )
}

describe.each(SOURCE_KINDS)('%s', (kind) => {
  let name: string
  let secret: string
  let migration: string
  let at: number
  const made = (options: Partial<DeliveryOptions> = {}): TestDelivery =>
    deliver(kind, { secret, at, labels: { migration }, id: `id-${count}`, ...options })

  beforeEach(async () => {
    ;({ name, secret } = await source(kind))
    migration = `m-${count}`
    await api.ramped(migration)
    at = api.now()
  })

  test('a proven alert reverts; the same again is a duplicate, and resolved undoes nothing', async () => {
    const answer = await post(name, made())
    expect(answer).toMatchObject({ status: 202, body: { accepted: [{ duplicate: false }] } })
    const [outcome] = await outcomes(answer)
    expect(outcome).toMatchObject({ action: 'revert', migration, signal: { source: kind } })
    const state = async () => (await api.phases.get(migration))?.state
    const reverted = await state()
    expect(reverted?.phase).toBe('dual-write')
    expect((await post(name, made())).body.accepted).toEqual([{ id: outcome.id, duplicate: true }])
    if (kind !== 'plain') {
      const resolved = await outcomes(await post(name, made({ status: 'resolved', id: `r-${count}` })))
      expect(resolved).toMatchObject([{ action: 'none', reason: 'resolved' }])
    }
    expect(await state()).toEqual(reverted)
  })

  test('a wrong proof is refused, and nothing is kept', async () => {
    const before = (await call('GET', '/v1/alerts?limit=1000')).body.alerts.length
    const wrong = kind === 'standard-webhooks' ? `whsec_${'A'.repeat(43)}=` : 'another secret entirely'
    const { body, headers } = made()
    const attempts: TestDelivery[] = [
      ...(kind === 'cloudwatch'
        ? []
        : [{ body, headers: { 'content-type': 'application/json' } }, made({ secret: wrong })]),
      // What was signed is not what is sent; a bearer says nothing of the body.
      ...(secret === '' || headers.authorization === undefined
        ? [{ body: body.replace(migration, 'm-x'), headers }]
        : []),
    ]
    for (const attempt of attempts) expect((await post(name, attempt)).status).toBe(401)
    expect((await post('no-such-source', made())).status).toBe(401)
    await api.inbox.process()
    expect((await call('GET', '/v1/alerts?limit=1000')).body.alerts).toHaveLength(before)
    expect((await api.phases.get(migration))?.state.phase).toBe('ramp')
  })

  test('a revoked source delivers no more', async () => {
    expect((await call('DELETE', `/v1/alert-sources/${name}`)).status).toBe(200)
    expect((await post(name, made())).status).toBe(401)
  })

  test.skipIf(kind === 'cloudwatch')('two secrets are good at once, and the older can be ended', async () => {
    const given = GIVEN[kind] === undefined ? {} : { secret: 'the-next-secret-of-this-system' }
    const added = await call('POST', `/v1/alert-sources/${name}/secrets`, given)
    expect(added.status).toBe(201)
    const next = added.body.secret ?? 'the-next-secret-of-this-system'
    expect((await post(name, made({ id: 'old' }))).status).toBe(202)
    expect((await post(name, made({ id: 'new', secret: next }))).status).toBe(202)
    const [, older] = added.body.secrets
    await call('DELETE', `/v1/alert-sources/${name}/secrets/${older.id}`)
    expect((await post(name, made({ id: 'old again' }))).status).toBe(401)
    expect((await post(name, made({ id: 'new again', secret: next }))).status).toBe(202)
    // A third drops the oldest: never more than two.
    await call('POST', `/v1/alert-sources/${name}/secrets`, given)
    const last = await call('POST', `/v1/alert-sources/${name}/secrets`, given)
    expect(last.body.secrets).toHaveLength(2)
  })

  test.skipIf(!['grafana', 'sentry', 'standard-webhooks', 'cloudwatch'].includes(kind))(
    'a delivery that was signed long ago is refused',
    async () => {
      expect((await post(name, made({ signedAt: at - 2 * 3_600_000 }))).status).toBe(401)
      expect((await post(name, made({ signedAt: at + 2 * 3_600_000 }))).status).toBe(401)
    },
  )

  test('a source that is for other migrations reverts nothing', async () => {
    const other = await source(kind, { migrations: ['something-else', 'another'] })
    const [outcome] = await outcomes(await post(other.name, made({ secret: other.secret })))
    expect(outcome).toMatchObject({ action: 'none', reason: 'refused' })
    expect((await api.phases.get(migration))?.state.phase).toBe('ramp')
  })

  test('what cannot be read is kept, told, and replayed', async () => {
    const answer = await post(name, made({ change: () => ({ surprise: true }) }))
    expect(answer).toMatchObject({ status: 422, body: { code: 'unreadable-alert' } })
    const dead = (await call('GET', '/v1/alerts?status=dead')).body.alerts
    expect(dead[0]).toMatchObject({ status: 'dead', error: expect.any(String) })
    expect((await call('POST', `/v1/alerts/${dead[0].id}/replay`, {})).status).toBe(422)
  })
})

test('Grafana without a timestamp header is believed by the body alone', async () => {
  const { name, secret } = await source('grafana')
  const { body } = deliver('grafana', { secret })
  const { hmacHex } = await import('../receivers/signatures.ts')
  const headers = {
    'content-type': 'application/json',
    'x-grafana-alerting-signature': hmacHex(secret, body),
  }
  expect((await post(name, { body, headers })).status).toBe(202)
})

test('a source for one migration speaks of that one where an alert names none', async () => {
  await api.ramped('only-one')
  const { name, secret } = await source('pagerduty', { migrations: ['only-one'] })
  const unnamed = deliver('pagerduty', {
    secret,
    at: api.now(),
    change: (payload) => JSON.parse(JSON.stringify(payload).replace(/migration=\w+/, '')),
  })
  expect(await outcomes(await post(name, unnamed))).toMatchObject([
    { action: 'revert', migration: 'only-one' },
  ])
})

test('what asks for nothing is answered so', async () => {
  const cases: [SourceKind, (payload: Record<string, unknown>) => unknown][] = [
    ['datadog', (payload) => ({ ...payload, transition: 'No Data' })],
    ['sentry', (payload) => ({ ...payload, action: 'warning' })],
    ['pagerduty', () => ({ event: { id: 'p', event_type: 'pagey.ping', data: null } })],
  ]
  for (const [kind, change] of cases) {
    const { name, secret } = await source(kind)
    const answer = await post(name, deliver(kind, { secret, change }))
    expect(answer).toMatchObject({ status: 202, body: { accepted: [], ignored: expect.any(String) } })
  }
})

test('an issue alert of Sentry is led by its tags', async () => {
  await api.ramped('tagged')
  const { name, secret } = await source('sentry')
  const change = () => ({
    action: 'triggered',
    data: {
      event: {
        title: 'TypeError',
        datetime: new Date(api.now()).toISOString(),
        tags: [['migration', 'tagged']],
      },
      triggered_rule: 'new path fails',
    },
  })
  const { body, headers } = deliver('sentry', { secret, change })
  const answer = await post(name, { body, headers: { ...headers, 'sentry-hook-resource': 'event_alert' } })
  expect(await outcomes(answer)).toMatchObject([{ action: 'revert', migration: 'tagged' }])
})

describe('CloudEvents', () => {
  test('the handshake allows the origin that asks', async () => {
    const { name } = await source('cloudevents')
    const response = await fetch(`${url}/v1/hooks/${name}`, {
      method: 'OPTIONS',
      headers: {
        'webhook-request-origin': 'eventemitter.example.com',
        'webhook-request-callback': 'http://10.0.0.1/',
      },
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('webhook-allowed-origin')).toBe('eventemitter.example.com')
    expect(response.headers.get('webhook-allowed-rate')).toBe('*')
    expect((await fetch(`${url}/v1/hooks/${name}`)).status).toBe(405)
  })

  test('binary and batched deliveries say the same as structured ones', async () => {
    const { name, secret } = await source('cloudevents')
    const authorization = `Bearer ${secret}`
    const data = { migration: 'nowhere', errorRate: 0.5, samples: 1000, window: '1m' }
    const binary = await post(name, {
      body: JSON.stringify(data),
      headers: {
        authorization,
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-id': 'b-1',
        'ce-source': '/x',
        'ce-type': 'alert',
      },
    })
    expect(await outcomes(binary)).toMatchObject([
      { signal: { measured: { errorRate: 0.5, window: 60_000 } } },
    ])
    const event = { specversion: '1.0', source: '/x', type: 'alert', data }
    const batch = await post(name, {
      body: JSON.stringify([
        { ...event, id: 'b-1' },
        { ...event, id: 'b-2' },
      ]),
      headers: { authorization, 'content-type': 'application/cloudevents-batch+json' },
    })
    expect(batch.body.accepted.map((each: { duplicate: boolean }) => each.duplicate)).toEqual([true, false])
  })
})

describe('SNS', () => {
  const confirmation = (more: Record<string, string> = {}) =>
    sns.signed({
      Type: 'SubscriptionConfirmation',
      MessageId: 'c-1',
      TopicArn: TOPIC,
      Message: 'You have chosen to subscribe',
      Token: 'token',
      SubscribeURL: `${SNS_HOST}/?Action=ConfirmSubscription&Token=token`,
      Timestamp: new Date(api.now()).toISOString(),
      SignatureVersion: '1',
      SigningCertURL: `${SNS_HOST}/SimpleNotificationService-0123456789abcdef.pem`,
      ...more,
    })
  const headers = { 'content-type': 'text/plain; charset=UTF-8' }
  const send = async (message: object) => {
    const { name } = await source('cloudwatch')
    asked.length = 0
    return await post(name, { body: JSON.stringify(message), headers })
  }

  test('a subscription of an allowed topic is confirmed', async () => {
    expect((await send(confirmation())).status).toBe(202)
    expect(asked).toContain(`${SNS_HOST}/?Action=ConfirmSubscription&Token=token`)
  })

  test.each([
    ['another topic', { TopicArn: 'arn:aws:sns:eu-central-1:999999999999:alarms' }],
    [
      'a certificate from elsewhere',
      {
        SigningCertURL: 'https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem',
      },
    ],
    [
      'a certificate over http',
      { SigningCertURL: 'http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem' },
    ],
    [
      'a certificate from a bucket',
      { SigningCertURL: 'https://s3.eu-central-1.amazonaws.com/bucket/SimpleNotificationService-1.pem' },
    ],
    [
      'a user in the address',
      { SigningCertURL: 'https://a@sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem' },
    ],
    [
      'a port',
      { SigningCertURL: 'https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-1.pem' },
    ],
    ['another path', { SigningCertURL: 'https://sns.eu-central-1.amazonaws.com/?Action=Publish' }],
  ])('with %s nobody is asked', async (_, more) => {
    expect((await send(confirmation(more as unknown as Record<string, string>))).status).toBe(401)
    expect(asked).toEqual([])
  })

  test('an address for the confirmation that is not of SNS is not asked', async () => {
    const answer = await send(confirmation({ SubscribeURL: 'https://169.254.169.254/latest/meta-data/' }))
    expect(answer.status).toBe(422)
    expect(asked.filter((each) => !each.endsWith('.pem'))).toEqual([])
  })

  test('a signature of another key is refused', async () => {
    const { snsSender } = await import('./sns-for-tests.ts')
    const stranger = snsSender().signed(confirmation())
    expect((await send(stranger)).status).toBe(401)
  })
})

test('an unreadable delivery that is mended reverts by its replay', async () => {
  await api.ramped('mended')
  const { name, secret } = await source('datadog')
  const { body, headers } = deliver('datadog', { secret, at: api.now(), labels: { migration: 'mended' } })
  // A template that lacks one of its lines.
  expect((await post(name, { body: body.replace('"transition"', '"transit"'), headers })).status).toBe(422)
  const [dead] = (await call('GET', '/v1/alerts?status=dead')).body.alerts
  await store.db.query('update alerts set raw = $2 where id = $1', [dead.id, Buffer.from(body)])
  const replayed = await call('POST', `/v1/alerts/${dead.id}/replay`, {})
  expect(replayed.status).toBe(200)
  expect(await outcomes(replayed)).toMatchObject([{ action: 'revert', migration: 'mended' }])
  expect((await call('GET', `/v1/alerts/${dead.id}`)).body).toMatchObject({
    status: 'decided',
    action: 'none',
  })
  expect((await call('POST', `/v1/alerts/${dead.id}/replay`, {})).status).toBe(409)
})

test('secrets are shown once, kept sealed or hashed, and never logged', async () => {
  const made: string[] = []
  for (const kind of SOURCE_KINDS) made.push((await source(kind)).secret)
  const shown = JSON.stringify((await call('GET', '/v1/alert-sources')).body)
  const { rows } = await store.db.query('select * from alert_source_secrets')
  const audit = JSON.stringify((await call('GET', '/v1/events?limit=1000')).body)
  const all = [shown, JSON.stringify(rows), audit, api.logged.join('')].join('')
  for (const secret of made.filter((each) => each !== '')) expect(all).not.toContain(secret)
})

test('a server with another key answers 503, and nothing is refused for good', async () => {
  const { name, secret } = await source('grafana')
  const other = testApi(store.db, { secretKey: 'another key, of another server' })
  const there = createServer(other.app).listen(0, '127.0.0.1')
  await new Promise((resolve) => there.once('listening', resolve))
  const { body, headers } = deliver('grafana', { secret })
  const address = `http://127.0.0.1:${(there.address() as AddressInfo).port}/v1/hooks/${name}`
  const response = await fetch(address, { method: 'POST', headers, body })
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '30'])
  await new Promise((resolve) => there.close(resolve))
  await other.stop()
})

test('more deliveries than can be kept are answered 503 with a time, never 429, and come through later', async () => {
  const { name, secret } = await source('plain')
  const at = api.now()
  const one = (n: number) => {
    const { body, headers } = deliver('plain', { secret, at, id: `s-${n}`, labels: { migration: 'nowhere' } })
    return fetch(`${url}/v1/hooks/${name}`, { method: 'POST', headers, body })
  }
  const refused: number[] = []
  let sent: Promise<void>[] = []
  await store.db.tx(async (tx) => {
    await tx.query('lock table alerts in exclusive mode')
    sent = Array.from({ length: 150 }, async (_, n) => {
      const response = await one(n)
      if (response.status === 202) return
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2'])
      refused.push(n)
    })
    await waitFor(() => refused.length > 0)
  })
  await Promise.all(sent)
  for (const n of refused) expect((await one(n)).status).toBe(202)
  const { rows } = await store.db.query(`select count(*) from alerts where dedup_key like '%id:s-%'`)
  expect(rows[0]?.count).toBe(150)
})

test('an alert that keeps failing is given up in the end, told, and decided by its replay', async () => {
  await api.ramped('cursed')
  let broken = true
  const dead: string[] = []
  const failing = testApi(store.open(), {
    onDead: (alert) => dead.push(alert),
    wrapPhases: (phases) => ({
      ...phases,
      get: (id) => (id === 'cursed' && broken ? Promise.reject(new Error('unreadable')) : phases.get(id)),
    }),
  })
  const { name, secret } = await source('plain')
  // Nobody else takes it up meanwhile.
  await api.inbox.stop()
  const { body } = await post(
    name,
    deliver('plain', { secret, at: api.now(), labels: { migration: 'cursed' } }),
  )
  const id = body.accepted[0].id
  for (let look = 0; look < 14; look++) {
    await failing.inbox.process()
    failing.passTime(130_000)
  }
  expect(dead).toEqual([id])
  expect((await call('GET', `/v1/alerts/${id}`)).body).toMatchObject({ status: 'dead', error: 'unreadable' })
  broken = false
  expect((await call('POST', `/v1/alerts/${id}/replay`, {})).status).toBe(200)
  await failing.inbox.process()
  expect((await call('GET', `/v1/alerts/${id}`)).body).toMatchObject({ status: 'decided', action: 'revert' })
  await failing.stop()
})
