import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SourceKind } from '../receivers/receivers.ts'
import { deliver, SNS_HOST, sns, TOPIC } from './deliveries-for-tests.ts'
import { type HooksWorld, hooksWorld } from './hooks-for-tests.ts'

let world: HooksWorld

beforeAll(async () => {
  world = await hooksWorld()
})
afterAll(() => world.stop())

test('Grafana without a timestamp header is believed by the body alone', async () => {
  const { name, secret } = await world.source('grafana')
  const { body } = deliver('grafana', { secret })
  const { hmacHex } = await import('../receivers/signatures.ts')
  const headers = {
    'content-type': 'application/json',
    'x-grafana-alerting-signature': hmacHex(secret, body),
  }
  expect((await world.post(name, { body, headers })).status).toBe(202)
})

test('a source for one migration speaks of that one where an alert names none', async () => {
  await world.api.ramped('only-one')
  const { name, secret } = await world.source('pagerduty', { migrations: ['only-one'] })
  const unnamed = deliver('pagerduty', {
    secret,
    at: world.api.now(),
    change: (payload) => JSON.parse(JSON.stringify(payload).replace(/migration=\w+/, '')),
  })
  expect(await world.outcomes(await world.post(name, unnamed))).toMatchObject([
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
    const { name, secret } = await world.source(kind)
    const answer = await world.post(name, deliver(kind, { secret, change }))
    expect(answer).toMatchObject({ status: 202, body: { accepted: [], ignored: expect.any(String) } })
  }
})

test('an issue alert of Sentry is led by its tags', async () => {
  await world.api.ramped('tagged')
  const { name, secret } = await world.source('sentry')
  const change = () => ({
    action: 'triggered',
    data: {
      event: {
        title: 'TypeError',
        datetime: new Date(world.api.now()).toISOString(),
        tags: [['migration', 'tagged']],
      },
      triggered_rule: 'new path fails',
    },
  })
  const { body, headers } = deliver('sentry', { secret, change })
  const answer = await world.post(name, {
    body,
    headers: { ...headers, 'sentry-hook-resource': 'event_alert' },
  })
  expect(await world.outcomes(answer)).toMatchObject([{ action: 'revert', migration: 'tagged' }])
})

describe('CloudEvents', () => {
  test('the handshake allows the origin that asks', async () => {
    const { name } = await world.source('cloudevents')
    const response = await fetch(`${world.url}/v1/hooks/${name}`, {
      method: 'OPTIONS',
      headers: {
        'webhook-request-origin': 'eventemitter.example.com',
        'webhook-request-callback': 'http://10.0.0.1/',
      },
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('webhook-allowed-origin')).toBe('eventemitter.example.com')
    expect(response.headers.get('webhook-allowed-rate')).toBe('*')
    expect((await fetch(`${world.url}/v1/hooks/${name}`)).status).toBe(405)
  })

  test('binary and batched deliveries say the same as structured ones', async () => {
    const { name, secret } = await world.source('cloudevents')
    const authorization = `Bearer ${secret}`
    const data = { migration: 'nowhere', errorRate: 0.5, samples: 1000, window: '1m' }
    const binary = await world.post(name, {
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
    expect(await world.outcomes(binary)).toMatchObject([
      { signal: { measured: { errorRate: 0.5, window: 60_000 } } },
    ])
    const event = { specversion: '1.0', source: '/x', type: 'alert', data }
    const batch = await world.post(name, {
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
      Timestamp: new Date(world.api.now()).toISOString(),
      SignatureVersion: '1',
      SigningCertURL: `${SNS_HOST}/SimpleNotificationService-0123456789abcdef.pem`,
      ...more,
    })
  const headers = { 'content-type': 'text/plain; charset=UTF-8' }
  const send = async (message: object) => {
    const { name } = await world.source('cloudwatch')
    world.asked.length = 0
    return await world.post(name, { body: JSON.stringify(message), headers })
  }

  test('a subscription of an allowed topic is confirmed', async () => {
    expect((await send(confirmation())).status).toBe(202)
    expect(world.asked).toContain(`${SNS_HOST}/?Action=ConfirmSubscription&Token=token`)
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
    expect(world.asked).toEqual([])
  })

  test('an address for the confirmation that is not of SNS is not asked', async () => {
    const answer = await send(confirmation({ SubscribeURL: 'https://169.254.169.254/latest/meta-data/' }))
    expect(answer.status).toBe(422)
    expect(world.asked.filter((each) => !each.endsWith('.pem'))).toEqual([])
  })

  test('a signature of another key is refused', async () => {
    const { snsSender } = await import('./sns-for-tests.ts')
    const stranger = snsSender().signed(confirmation())
    expect((await send(stranger)).status).toBe(401)
  })
})
