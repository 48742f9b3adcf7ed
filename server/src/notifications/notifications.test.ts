import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testApi } from '../http/test-api.ts'
import { type NoticesWorld, noticesWorld } from './notices-for-tests.ts'

let world: NoticesWorld
let store: NoticesWorld['store']
let api: NoticesWorld['api']
let base: NoticesWorld['base']
let received: NoticesWorld['received']
let answers: NoticesWorld['answers']
let call: NoticesWorld['call']
let channel: NoticesWorld['channel']
let revert: NoticesWorld['revert']
let at: NoticesWorld['at']

beforeEach(async () => {
  world = await noticesWorld()
  ;({ store, api, base, received, answers, call, channel, revert, at } = world)
})
afterEach(() => world.stop())

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
  answers.set('/chat', { status: 307, headers: { location: `${base}/elsewhere` } })
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
  ['email', { url: 'smtp:///riders' }, 'host of a mail server'],
  ['teams', {}, 'needs "url"'],
  ['pagerduty', {}, 'needs "key"'],
])('a channel of the kind %s with %o is refused', async (kind, more, why) => {
  const answer = await call('post', '/v1/channels', { name: 'x', kind, ...more })
  expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining(why)])
})
