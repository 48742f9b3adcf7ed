import { createHmac } from 'node:crypto'
import { request } from 'node:http'
import { waitFor } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deliver, SNS_HOST, sns, TOPIC } from './deliveries-for-tests.ts'
import { type HooksWorld, hooksWorld } from './hooks-for-tests.ts'

let world: HooksWorld
let isAway = false

beforeAll(async () => {
  world = await hooksWorld((address) => isAway && !address.pathname.endsWith('.pem'))
})
afterAll(() => world.stop())

/** A delivery whose head has been sent and whose body never comes. */
function withoutBody(name: string, headers: Readonly<Record<string, string>>) {
  const delivery = request(`${world.url}/v1/hooks/${name}`, {
    method: 'POST',
    headers: { ...headers, 'content-length': '1000' },
  })
  const status = new Promise<number | undefined>((resolve) => {
    delivery.once('response', (response) => resolve(response.statusCode))
    delivery.once('error', () => resolve(undefined))
  })
  delivery.flushHeaders()
  return { status, end: () => delivery.destroy() }
}

test('a token is looked at before the body, which may be long in coming', async () => {
  const { name } = await world.source('plain')
  const { status, end } = withoutBody(name, { authorization: 'Bearer sbh_wrong' })
  expect(await status).toBe(401)
  end()
})

test('only so many bodies are read at once; the next sender is told to come again', async () => {
  const { name, secret } = await world.source('grafana')
  const open = Array.from({ length: 100 }, () => withoutBody(name, {}))
  const one = () => world.post(name, deliver('grafana', { secret, at: world.api.now() }))
  try {
    await waitFor(async () => (await one()).status === 503, { what: 'the server to read a hundred bodies' })
  } finally {
    for (const { end } of open) end()
  }
  await waitFor(async () => (await one()).status === 202, { what: 'room for one more' })
})

test('two systems of one kind may give the same identity to different alerts', async () => {
  const duplicates = []
  for (let n = 0; n < 2; n++) {
    const { name, secret } = await world.source('pagerduty')
    const { body } = await world.post(name, deliver('pagerduty', { secret, id: 'the same' }))
    duplicates.push(body.accepted[0].duplicate)
  }
  expect(duplicates).toEqual([false, false])
})

test.each(['sentry', 'pagerduty'] as const)(
  'a source of %s whose secret is not known yet believes nobody',
  async (kind) => {
    const made = await world.call('POST', '/v1/alert-sources', { name: `young-${kind}`, kind })
    expect([made.status, made.body.secrets]).toEqual([201, []])
    expect((await world.post(`young-${kind}`, deliver(kind, { secret: '' }))).status).toBe(401)
  },
)

test.each([
  ['sentry', 'too-short', 'at least 16 characters'],
  ['plain', 'too-short', 'at least 16 characters'],
  ['standard-webhooks', 'whsec_dG9vLXNob3J0', 'at least 24 bytes'],
  ['standard-webhooks', 'long-enough-and-of-no-form-at-all', 'expected "whsec_"'],
] as const)('a secret of %s that is %s is refused', async (kind, secret, why) => {
  const made = await world.call('POST', '/v1/alert-sources', { name: `weak-${kind}`, kind, secret })
  expect([made.status, made.body.code, made.body.detail]).toEqual([
    422,
    'bad-secret',
    expect.stringContaining(why),
  ])
})

test('a secret is sealed for its source: put beside another one it opens nothing', async () => {
  const [one, two] = [await world.source('grafana'), await world.source('grafana')]
  await world.store.db.query(
    `update alert_source_secrets mine set value = theirs.value
     from alert_source_secrets theirs, alert_sources me, alert_sources other
     where mine.source = me.id and me.name = $1 and theirs.source = other.id and other.name = $2`,
    [one.name, two.name],
  )
  const answer = await world.post(one.name, deliver('grafana', { secret: two.secret, at: world.api.now() }))
  expect([answer.status, answer.body.code]).toEqual([500, 'internal-error'])
})

test('of the signatures of PagerDuty ten are looked at, which is more than it has secrets', async () => {
  const { name, secret } = await world.source('pagerduty')
  const { body, headers } = deliver('pagerduty', { secret })
  const right = `v1=${createHmac('sha256', secret).update(body).digest('hex')}`
  const signed = (others: number) => ({
    body,
    headers: { ...headers, 'x-pagerduty-signature': [...Array(others).fill('v1=00'), right].join(', ') },
  })
  expect((await world.post(name, signed(10))).status).toBe(401)
  expect((await world.post(name, signed(9))).status).toBe(202)
})

test('a subscription that could not be confirmed is asked for again, and confirmed then', async () => {
  const { name } = await world.source('cloudwatch')
  const confirm = `${SNS_HOST}/?Action=ConfirmSubscription&Token=again`
  const body = JSON.stringify(
    sns.signed({
      Type: 'SubscriptionConfirmation',
      MessageId: 'c-again',
      TopicArn: TOPIC,
      Message: 'You have chosen to subscribe',
      Token: 'again',
      SubscribeURL: confirm,
      Timestamp: new Date(world.api.now()).toISOString(),
      SignatureVersion: '1',
      SigningCertURL: `${SNS_HOST}/SimpleNotificationService-1.pem`,
    }),
  )
  const send = () => world.post(name, { body, headers: { 'content-type': 'text/plain' } })
  isAway = true
  expect(await send()).toMatchObject({ status: 503, body: { code: 'overloaded' } })
  isAway = false
  expect((await send()).status).toBe(202)
  expect(world.asked.filter((each) => each === confirm)).toHaveLength(2)
})

test('no more deliveries are on their way into the store at once than it can bear, by whatever way they come', async () => {
  const at = world.api.now()
  const receive = (n: number) =>
    world.api.inbox.receive(
      [
        {
          ...{ source: 'test', dedupKey: `at-once-${n}`, status: 'firing', name: 'x', labels: {} },
          ...{ startedAt: at, receivedAt: at },
        },
      ],
      { id: 'tok_1' },
    )
  let underWay: Promise<unknown>[] = []
  await world.store.db.tx(async (tx) => {
    await tx.query('lock table alerts in exclusive mode')
    underWay = Array.from({ length: 200 }, (_, n) => receive(n))
    await expect(receive(200)).rejects.toMatchObject({ code: 'overloaded' })
  })
  expect(await Promise.all(underWay)).toHaveLength(200)
  expect(await receive(200)).toMatchObject([{ duplicate: false }])
})
