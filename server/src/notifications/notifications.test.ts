import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import { SMTPServer } from 'smtp-server'
import { Webhook } from 'standardwebhooks'
import request from 'supertest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TestApi } from '../http/test-api.ts'
import { testApi } from '../http/test-api.ts'

interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: ReturnType<typeof JSON.parse>
}

let store: TestStore
let api: TestApi
let admin: string
let base: string
let received: Received[]
let answers: Map<string, { status: number; headers?: Record<string, string> }>
let close: (() => Promise<unknown>)[]

beforeEach(async () => {
  store = await testStore()
  api = testApi(store.db)
  admin = await api.token('admin')
  received = []
  answers = new Map()
  close = []
  const server = createServer(async (incoming, response) => {
    const parts: Buffer[] = []
    for await (const part of incoming) parts.push(part as Buffer)
    const text = Buffer.concat(parts).toString('utf8')
    const path = incoming.url ?? ''
    received.push({ path, headers: incoming.headers, text, body: JSON.parse(text) })
    const { status, headers } = answers.get(path) ?? { status: 200 }
    response.writeHead(status, headers).end('ok')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  close.push(() => new Promise((resolve) => server.close(resolve)))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  await api.stop()
  for (const each of close) await each()
  await store.drop()
})

const call = async (method: 'get' | 'post' | 'delete', path: string, body?: object) =>
  await request(api.app)[method](path).set('Authorization', `Bearer ${admin}`).send(body)
const channel = async (name: string, kind: string, more: object = {}) => {
  const answer = await call('post', '/v1/channels', { name, kind, ...more })
  expect([answer.status, answer.body.detail]).toEqual([201, undefined])
  return answer.body
}
const owner = (...contacts: string[]) =>
  `owner: { team: riders, contacts: ${JSON.stringify(contacts)}, escalateAfter: 5m }\n`
const revert = async (id: string) => {
  const command = { type: 'revert', cause: { kind: 'manual', reason: 'empty <bios>' } } as const
  const result = await api.phases.command(id, command, { name: 'ann' })
  if (!result.ok) throw new Error(result.refusal.message)
  return result.migration.state.latch?.incident ?? ''
}
const at = (path: string) => received.filter((each) => each.path === path)

test('a revert is told to each kind of channel in its own form, once, also by two servers', async () => {
  await channel('chat', 'slack', { url: `${base}/slack/T0SECRET` })
  await channel('teams', 'teams', { url: `${base}/teams` })
  await channel('pager', 'pagerduty', { key: 'R0UT1NGKEY0123456789', url: `${base}/pd` })
  const { key } = await channel('hook', 'webhook', { url: `${base}/hook` })
  await channel('elsewhere', 'slack', { url: `${base}/other`, migrations: ['another'] })
  await channel('calm', 'slack', { url: `${base}/calm`, events: ['resolved'] })
  await api.ramped('profiles')
  const incident = await revert('profiles')
  const other = testApi(store.open())
  await Promise.all([api.notifier.run(), other.notifier.run(), api.notifier.run()])
  await other.stop()
  await api.notifier.run()

  expect(received.map((each) => each.path).sort()).toEqual(['/hook', '/pd', '/slack/T0SECRET', '/teams'])
  const [slack] = at('/slack/T0SECRET')
  expect(slack?.body.text).toContain('profiles switched back')
  // Text from anywhere becomes no mention and no link.
  expect(slack?.text).not.toContain('empty <bios>')
  expect(slack?.text).toContain('empty &lt;bios&gt;')
  expect(slack?.text).toContain(`https://switchback.example/v1/incidents/${incident}/report`)
  const [teams] = at('/teams')
  expect(teams?.body.attachments[0]).toMatchObject({
    contentType: 'application/vnd.microsoft.card.adaptive',
    content: { type: 'AdaptiveCard', version: '1.4' },
  })
  const [pager] = at('/pd')
  expect(pager?.body).toMatchObject({
    routing_key: 'R0UT1NGKEY0123456789',
    event_action: 'trigger',
    dedup_key: `switchback:${incident}`,
    payload: { severity: 'critical', source: 'profiles' },
  })
  const [hook] = at('/hook')
  const verified = new Webhook(key).verify(hook?.text ?? '', hook?.headers as Record<string, string>)
  expect(verified).toMatchObject({ type: 'switchback.reverted', data: { incident, migration: 'profiles' } })

  await api.phases.command('profiles', { type: 'rearm', reason: 'mended' }, { name: 'ann' })
  await api.notifier.run()
  expect(at('/pd')[1]?.body).toMatchObject({ event_action: 'resolve', dedup_key: `switchback:${incident}` })
  expect(at('/calm')).toHaveLength(1)

  const shown = JSON.stringify([
    (await call('get', '/v1/channels')).body,
    (await call('get', '/v1/events')).body,
    (await call('get', '/v1/notifications')).body,
    (await store.db.query('select * from channels')).rows,
    api.logged,
  ])
  for (const secret of ['T0SECRET', 'R0UT1NGKEY', key]) expect(shown).not.toContain(secret)
})

test('contacts are called one after the other until somebody acknowledges', async () => {
  const mails: string[] = []
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, session, done) => {
      stream.setEncoding('utf8')
      let text = session.envelope.rcptTo.map(({ address }) => address).join(',')
      stream.on('data', (part: string) => {
        text += part
      })
      stream.on('end', () => {
        mails.push(text)
        done()
      })
    },
  })
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve))
  close.push(() => new Promise<void>((resolve) => smtp.close(resolve)))
  const { port } = smtp.server.address() as AddressInfo
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['test'] })
  await channel('mail', 'email', { url: `smtp://127.0.0.1:${port}`, from: 'sb@x.example', events: ['test'] })
  await api.ramped('profiles', owner('#oncall', '#nobody', 'mailto:riders@bimride.example'))
  const incident = await revert('profiles')

  await api.notifier.run()
  expect([at('/oncall').length, mails.length]).toEqual([1, 0])
  api.passTime(299_000)
  await api.notifier.run()
  expect([at('/oncall').length, mails.length]).toEqual([1, 0])
  api.passTime(2_000)
  await api.notifier.run()
  // A contact that no channel leads to is passed over at once, and written down.
  expect([at('/oncall').length, mails.length]).toEqual([1, 1])
  expect(mails[0]).toMatch(/^riders@bimride\.example[\s\S]*Subject: \[switchback\] profiles switched back/)
  const { timeline } = (await call('get', `/v1/incidents/${incident}`)).body
  expect(timeline.map((each: { kind: string }) => each.kind)).toContain('contact-unreachable')

  const acked = await call('post', `/v1/incidents/${incident}/ack`, {})
  expect(acked.body).toMatchObject({ ackedBy: 'a admin', status: 'open' })
  expect((await call('post', `/v1/incidents/${incident}/ack`, {})).status).toBe(409)
  expect((await call('post', '/v1/incidents/inc_none/ack', {})).status).toBe(404)
  api.passTime(3_600_000)
  await api.notifier.run()
  // Whoever was called hears that it was taken up, and nothing more.
  expect([at('/oncall').length, mails.length]).toEqual([2, 2])
  expect(at('/oncall')[1]?.text).toContain('has been taken up')
})

test('where nobody acknowledges after three rounds, that is told', async () => {
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['unanswered'] })
  await api.ramped('profiles', owner('#oncall'))
  await revert('profiles')
  for (let round = 0; round < 5; round++) {
    await api.notifier.run()
    api.passTime(301_000)
  }
  expect(at('/oncall').map(({ body }) => body.text.includes('nobody has acknowledged'))).toEqual([
    false,
    false,
    false,
    true,
  ])
})

test('a revert that is refused calls people as well', async () => {
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['test'] })
  await api.ramped('profiles', owner('#oncall'))
  for (const type of ['promoted', 'retired']) {
    const result = await api.phases.command('profiles', { type: 'advance' }, { name: 'ann' })
    expect([type, result.ok && result.migration.state.phase]).toEqual([type, type])
  }
  const cause = { kind: 'alert', reason: 'new fails' } as const
  expect((await api.phases.command('profiles', { type: 'revert', cause }, { name: 'alert' })).ok).toBe(false)
  await api.notifier.run()
  expect(at('/oncall')).toHaveLength(1)
  expect(at('/oncall')[0]?.text).toContain('could not be switched back by itself')
  expect(at('/oncall')[0]?.text).toContain('The safe way')
})

test('failed work is told to the first contact', async () => {
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['test'] })
  await api.registered('profiles', owner('#oncall'))
  const engine = { name: 'engine' }
  await api.phases.command('profiles', { type: 'advance' }, engine)
  const failure = { type: 'work-failed', kind: 'expand', epoch: 1, error: 'lock timeout' } as const
  await api.phases.command('profiles', failure, engine)
  await api.notifier.run()
  await api.notifier.run()
  expect(at('/oncall').map(({ body }) => body.text)).toEqual([
    expect.stringMatching(/expand failed: lock timeout.*switchback retry profiles/),
  ])
})

test('what does not arrive is sent again, later each time; what is refused for good is not', async () => {
  await channel('busy', 'slack', { url: `${base}/busy`, events: ['reverted'] })
  await channel('gone', 'slack', { url: `${base}/gone`, events: ['reverted'] })
  answers.set('/busy', { status: 503 })
  answers.set('/gone', { status: 410 })
  await api.ramped('profiles')
  await revert('profiles')
  await api.notifier.run()
  await api.notifier.run()
  expect([at('/busy').length, at('/gone').length]).toEqual([1, 1])
  api.passTime(1_100)
  answers.set('/busy', { status: 429, headers: { 'retry-after': '120' } })
  await api.notifier.run()
  api.passTime(60_000)
  await api.notifier.run()
  expect(at('/busy')).toHaveLength(2)
  answers.delete('/busy')
  api.passTime(61_000)
  await api.notifier.run()
  expect([at('/busy').length, at('/gone').length]).toEqual([3, 1])
  const { notifications } = (await call('get', '/v1/notifications')).body
  const states = notifications.map((each: Record<string, unknown>) => [
    each.channel,
    each.status,
    each.attempts,
  ])
  expect(states.sort()).toEqual([
    ['busy', 'sent', 3],
    ['gone', 'failed', 1],
  ])
  answers.delete('/gone')
  const failed = notifications.find((each: { status: string }) => each.status === 'failed')
  expect((await call('post', `/v1/notifications/${failed.id}/retry`, {})).status).toBe(202)
  await api.notifier.run()
  expect(at('/gone')).toHaveLength(2)
})

test('a test message tells whether it arrived', async () => {
  await channel('chat', 'slack', { url: `${base}/chat` })
  expect((await call('post', '/v1/channels/chat/test', {})).body).toEqual({ sent: true })
  answers.set('/chat', { status: 404 })
  expect((await call('post', '/v1/channels/chat/test', {})).body).toEqual({
    sent: false,
    error: 'the answer was 404',
  })
  // Where an address would lead on to was not judged when the channel was made.
  answers.set('/chat', { status: 302, headers: { location: `${base}/elsewhere` } })
  expect((await call('post', '/v1/channels/chat/test', {})).body.sent).toBe(false)
  expect(at('/elsewhere')).toEqual([])
  expect((await call('delete', '/v1/channels/chat')).status).toBe(204)
  expect((await call('post', '/v1/channels/chat/test', {})).status).toBe(404)
})

test.each([
  ['slack', { url: 'http://169.254.169.254/latest' }, 'https'],
  ['slack', { url: 'http://chat.internal/hook' }, 'NOTIFY_HTTP_HOSTS'],
  ['slack', { url: 'file:///etc/passwd' }, 'https'],
  ['webhook', { url: 'https://user:password@x.example/' }, 'without user'],
  ['webhook', { url: 'https://x.example/', key: 'too-short' }, 'whsec_'],
  ['email', { url: 'https://x.example/' }, 'smtp'],
  ['teams', {}, 'needs "url"'],
  ['pagerduty', {}, 'needs "key"'],
])('a channel of the kind %s with %o is refused', async (kind, more, why) => {
  const answer = await call('post', '/v1/channels', { name: 'x', kind, ...more })
  expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining(why)])
})
