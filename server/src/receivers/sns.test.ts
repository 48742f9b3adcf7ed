import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { snsSender } from '../sources/sns-for-tests.ts'
import { askSns } from './ask-sns.ts'
import { createSnsVerifier, type SnsMessage, snsSchema } from './sns.ts'

const NOW = Date.UTC(2026, 10, 28, 12)
const HOST = 'https://sns.eu-central-1.amazonaws.com'
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:alarms'
const sender = snsSender()

const message = (more: Record<string, string> = {}, by = sender): SnsMessage =>
  snsSchema.parse(
    by.signed({
      Type: 'Notification',
      MessageId: 'm-1',
      TopicArn: TOPIC,
      Subject: 'ALARM',
      Message: '{}',
      Timestamp: new Date(NOW).toISOString(),
      SignatureVersion: '2',
      SigningCertURL: `${HOST}/SimpleNotificationService-1.pem`,
      ...more,
    }),
  )
const confirmation = (more: Record<string, string> = {}) =>
  message({ Type: 'SubscriptionConfirmation', Token: 't', SubscribeURL: `${HOST}/?x`, ...more })

/** A verifier with what it has asked for. */
function verifier(certificate: () => string = () => sender.certificate) {
  const asked: string[] = []
  const sns = createSnsVerifier(async (url) => {
    asked.push(url.href)
    return certificate()
  })
  const verify = (given: SnsMessage, now = NOW) => sns.verify(given, { topics: [TOPIC] }, now)
  return { asked, verify }
}

test.each(['1', '2'])('what SNS signs by its version %s is believed', async (SignatureVersion) => {
  const { verify } = verifier()
  expect(await verify(message({ SignatureVersion }))).toEqual({ ok: true })
  expect(await verify(confirmation({ SignatureVersion }))).toEqual({ ok: true })
})

test.each([
  ['MessageId', message],
  ['Subject', message],
  ['Message', message],
  ['Timestamp', message],
  ['MessageId', confirmation],
  ['Message', confirmation],
  ['SubscribeURL', confirmation],
  ['Timestamp', confirmation],
  ['Token', confirmation],
] as const)('nobody changes %s on the way', async (field, make) => {
  const changed = field === 'Timestamp' ? new Date(NOW - 1000).toISOString() : 'another'
  const { verify } = verifier()
  expect(await verify({ ...make(), [field]: changed })).toEqual({
    ok: false,
    why: 'the signature is not right',
  })
})

test('what was signed as a notification is no confirmation', async () => {
  const given = { ...message(), Type: 'SubscriptionConfirmation' as const }
  expect((await verifier().verify(given)).ok).toBe(false)
})

test.each([
  ['has run out', Date.UTC(2121, 0, 1)],
  ['is not good yet', Date.UTC(2019, 0, 1)],
])('a certificate that %s proves nothing', async (_, now) => {
  const { verify } = verifier()
  expect(await verify(message({ Timestamp: new Date(now).toISOString() }), now)).toEqual({
    ok: false,
    why: 'the certificate could not be had, or is not valid',
  })
})

test('a certificate is asked for once, and again where it could not be had', async () => {
  let away = true
  const { asked, verify } = verifier(() => {
    if (away) throw new Error('away')
    return sender.certificate
  })
  expect((await verify(message())).ok).toBe(false)
  away = false
  for (let n = 0; n < 3; n++) expect((await verify(message())).ok).toBe(true)
  expect(asked).toHaveLength(2)
})

test('no more certificates are kept than there can be, and the oldest goes first', async () => {
  const { asked, verify } = verifier()
  const by = (n: number) => message({ SigningCertURL: `${HOST}/SimpleNotificationService-${n}.pem` })
  for (let n = 0; n <= 20; n++) await verify(by(n))
  await verify(by(20))
  expect(asked).toHaveLength(21)
  await verify(by(0))
  expect(asked).toHaveLength(22)
})

test.each<readonly [string, Record<string, string>, string]>([
  ['another topic', { TopicArn: `${TOPIC}-2` }, 'the topic is not one of this source'],
  ['an hour ago', { Timestamp: new Date(NOW - 3_600_001).toISOString() }, 'the timestamp is old'],
  ['an hour ahead', { Timestamp: new Date(NOW + 3_600_001).toISOString() }, 'the timestamp is old'],
  ...[
    'https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem',
    'http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-1.pem',
    'https://a@sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://:b@sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem/x',
    'no address',
  ].map((url) => [url, { SigningCertURL: url }, 'SigningCertURL is not an address of SNS'] as const),
])('nobody is asked about a message with %s', async (_, more, why) => {
  const { asked, verify } = verifier()
  expect(await verify(message(more))).toEqual({ ok: false, why })
  expect(asked).toEqual([])
})

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})
async function listening(listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
}

test('what SNS answers is taken as it is, and nothing else: no way round, no error, no long answer, no silence', async () => {
  const answers: Readonly<Record<string, RequestListener>> = {
    '/fine': (_request, response) => response.end('x'.repeat(50_000)),
    '/long': (_request, response) => response.end('x'.repeat(50_001)),
    '/gone': (_request, response) => response.writeHead(404).end('x'),
    '/round': (_request, response) => response.writeHead(302, { location: '/fine' }).end(),
    '/silent': () => undefined,
  }
  const url = await listening((request, response) => answers[request.url ?? '']?.(request, response))
  const ask = (path: string) => askSns(new URL(path, url), 200)
  expect(await ask('/fine')).toHaveLength(50_000)
  for (const path of ['/long', '/gone', '/round', '/silent']) await expect(ask(path)).rejects.toThrow()
})
