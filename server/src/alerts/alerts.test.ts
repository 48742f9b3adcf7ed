import type { TestStore } from '@switchback/test/support'
import { testStore, waitFor } from '@switchback/test/support'
import request from 'supertest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TestApi } from '../http/test-api.ts'
import { registrationOf, testApi } from '../http/test-api.ts'
import type { PhaseService } from '../phases/phase-service.ts'

let store: TestStore
let api: TestApi
let apis: TestApi[]
let alert: string
let viewer: string

const server = (wrapPhases?: (phases: PhaseService) => PhaseService): TestApi => {
  const made = testApi(store.open(), wrapPhases === undefined ? {} : { wrapPhases })
  apis.push(made)
  return made
}
const deliver = (path: string, body: object, to = api, token = alert) =>
  request(to.app).post(path).set('Authorization', `Bearer ${token}`).send(body)
const show = async (path: string) =>
  (await request(api.app).get(path).set('Authorization', `Bearer ${viewer}`)).body
const decided = async (id: string, on = api) => {
  await on.inbox.process()
  return await show(`/v1/alerts/${id}`)
}
const stateOf = async (id: string) => {
  const migration = await api.phases.get(id)
  if (migration === undefined) throw new Error(`there is no ${id}`)
  return migration.state
}
const plain = (more: object = {}) => ({
  migration: 'profiles',
  errorRate: 0.072,
  samples: 5000,
  window: '1m',
  ...more,
})
const firing = (labels: object, more: object = {}) => ({
  receiver: 'switchback',
  version: '4',
  status: 'firing',
  alerts: [
    {
      status: 'firing',
      labels: { alertname: 'NewPathErrorRate', ...labels },
      annotations: { summary: 'error rate 7.2% > 2%' },
      startsAt: new Date(api.now()).toISOString(),
      endsAt: '0001-01-01T00:00:00Z',
      fingerprint: '8798e5ab6f3a142a',
      ...more,
    },
  ],
})

beforeEach(async () => {
  store = await testStore()
  apis = []
  api = server()
  alert = await api.token('alert')
  viewer = await api.token('viewer')
  await api.ramped('profiles')
  api.passTime(1000)
})
afterEach(async () => {
  for (const each of apis) await each.stop()
  await store.drop()
})

test('a measured rate above the limit reverts, and the incident tells from alert to acknowledgement', async () => {
  const epoch = (await stateOf('profiles')).epoch
  await api.fleet.register(registrationOf('i-1', 'profiles'))
  await api.fleet.register(registrationOf('i-2', 'profiles'))
  const answer = await deliver('/v1/alerts', plain({ path: 'new', id: 'a1' })).expect(202)
  const { id, duplicate } = answer.body.accepted[0]
  expect(duplicate).toBe(false)
  const outcome = await decided(id)
  expect(outcome).toMatchObject({
    status: 'decided',
    action: 'revert',
    reason: 'breach',
    migration: 'profiles',
  })
  expect(outcome.explanation).toContain('7.2%')
  expect(await stateOf('profiles')).toMatchObject({ phase: 'dual-write', epoch: epoch + 1 })

  const ack = (instance: string) =>
    api.fleet.heartbeat(instance, `${instance}-1`, {
      revision: 0,
      positions: { profiles: { applied: epoch + 1, drained: epoch + 1 } },
    })
  await ack('i-1')
  await api.incidents.observeProgress(['profiles'])
  const half = await show(`/v1/incidents/${outcome.incident}`)
  expect([half.firstAckAt, half.lastAckAt]).toEqual([expect.any(Number), undefined])
  await ack('i-2')
  await api.incidents.observeProgress(['profiles'])
  const whole = await show(`/v1/incidents/${outcome.incident}`)
  expect(whole).toMatchObject({
    status: 'open',
    cause: { kind: 'alert', by: 'alert' },
    to: { epoch: epoch + 1 },
  })
  expect(whole.alertToCommitMs).toBeGreaterThanOrEqual(0)
  expect(whole.alertToLastAckMs).toBeGreaterThanOrEqual(0)
  expect(whole.timeline.map((each: { kind: string }) => each.kind).sort()).toEqual(
    ['alert-received', 'decided', 'first-ack', 'last-ack', 'reverted'].sort(),
  )
  const times = whole.timeline.map((each: { at: number }) => each.at)
  expect(times).toEqual([...times].sort((a: number, b: number) => a - b))
})

test('a real payload of Alertmanager reverts by its labels', async () => {
  const answer = await deliver('/v1/alerts/alertmanager', firing({ migration: 'profiles' })).expect(202)
  expect(await decided(answer.body.accepted[0].id)).toMatchObject({
    action: 'revert',
    reason: 'alert-matched',
  })
})

test('an alert without a migration is led by the labels of tripwires', async () => {
  const tripwires = 'tripwires: [{ watch: alert, match: { service: rides }, do: revert }]\n'
  await api.ramped('labelled', tripwires)
  // No labels to match means every alert about this migration, and not every alert there is.
  await api.ramped('any', 'tripwires: [{ watch: alert, do: revert }]\n')
  api.passTime(1000)
  const matched = await deliver('/v1/alerts/alertmanager', firing({ service: 'rides' }))
  expect(await decided(matched.body.accepted[0].id)).toMatchObject({
    action: 'revert',
    migration: 'labelled',
  })
  const stranger = await deliver('/v1/alerts/alertmanager', firing({ service: 'pay' }, { fingerprint: 'b' }))
  expect(await decided(stranger.body.accepted[0].id)).toMatchObject({
    action: 'none',
    reason: 'no-migration',
  })
  expect((await stateOf('profiles')).phase).toBe('ramp')
  expect((await stateOf('any')).phase).toBe('ramp')
})

test('the same delivery again is counted and does nothing, also after a re-arm', async () => {
  const payload = firing({ migration: 'profiles' })
  const first = (await deliver('/v1/alerts/alertmanager', payload)).body.accepted[0]
  await decided(first.id)
  await api.phases.command('profiles', { type: 'rearm', reason: 'fixed' }, { name: 'test' })
  const epoch = (await stateOf('profiles')).epoch
  const second = (await deliver('/v1/alerts/alertmanager', payload)).body.accepted[0]
  expect(second).toEqual({ id: first.id, duplicate: true })
  expect(await decided(first.id)).toMatchObject({ duplicates: 1, action: 'revert' })
  expect((await stateOf('profiles')).epoch).toBe(epoch)
})

test.each([
  ['resolved', () => firing({ migration: 'profiles' }, { status: 'resolved' }), 'resolved'],
  [
    'begun before what runs now',
    () => firing({ migration: 'profiles' }, { startsAt: '2020-01-01T00:00:00Z' }),
    'stale',
  ],
  ['of a passed epoch', () => firing({ migration: 'profiles', epoch: '1' }), 'stale'],
])('an alert that is %s is recorded and does nothing', async (_, payload, reason) => {
  const { id } = (await deliver('/v1/alerts/alertmanager', payload())).body.accepted[0]
  expect(await decided(id)).toMatchObject({ action: 'none', reason })
  expect((await stateOf('profiles')).phase).toBe('ramp')
})

test.each([
  ['few samples', { samples: 10 }, 'too-few-samples'],
  ['a rate below the limit', { errorRate: 0.01 }, 'below-threshold'],
])('a measurement with %s does nothing', async (_, more, reason) => {
  const { id } = (await deliver('/v1/alerts', plain(more))).body.accepted[0]
  expect(await decided(id)).toMatchObject({ action: 'none', reason })
})

test('measurements without identity are told apart, with a beginning by what they say', async () => {
  const startedAt = new Date(api.now()).toISOString()
  const one = async (more: object) => (await deliver('/v1/alerts', plain(more))).body.accepted[0].duplicate
  expect([await one({ errorRate: 0.01 }), await one({ errorRate: 0.01 })]).toEqual([false, false])
  expect([await one({ startedAt, errorRate: 0.01 }), await one({ startedAt, errorRate: 0.01 })]).toEqual([
    false,
    true,
  ])
  // The same alert, grown worse: not to be taken for a repetition.
  expect(await one({ startedAt, errorRate: 0.5 })).toBe(false)
})

test('a tripwire that says pause pauses', async () => {
  await api.ramped('careful', 'tripwires: [{ watch: alert, do: pause }]\n')
  api.passTime(1000)
  const { id } = (await deliver('/v1/alerts/alertmanager', firing({ migration: 'careful' }))).body.accepted[0]
  expect(await decided(id)).toMatchObject({ action: 'pause' })
  expect(await stateOf('careful')).toMatchObject({ phase: 'ramp', paused: true })
})

test('what cannot be reverted is refused on record, and decided anew when the alert comes again', async () => {
  await api.registered('young')
  const payload = firing({ migration: 'young' })
  const { id } = (await deliver('/v1/alerts/alertmanager', payload)).body.accepted[0]
  const refused = await decided(id)
  expect([refused.action, refused.reason]).toEqual(['none', 'refused'])
  expect(refused.explanation).toContain('planned')
  await api.phases.command('young', { type: 'advance' }, { name: 'test' })
  await deliver('/v1/alerts/alertmanager', payload)
  expect(await decided(id)).toMatchObject({ action: 'revert', duplicates: 1 })
})

test('a token that is for other migrations reverts nothing', async () => {
  const token = await api.token('alert', { migrations: ['something-else'] })
  await deliver('/v1/alerts', plain(), api, token).expect(403)
  const kept = await deliver('/v1/alerts/alertmanager', firing({ migration: 'profiles' }), api, token).expect(
    202,
  )
  expect(await decided(kept.body.accepted[0].id)).toMatchObject({ action: 'none', reason: 'refused' })
  expect((await stateOf('profiles')).phase).toBe('ramp')
})

test('many servers that hear of it at once revert once', async () => {
  const epoch = (await stateOf('profiles')).epoch
  const servers = [api, server(), server(), server()]
  await Promise.all(
    servers.flatMap((each, n) =>
      [0, 1, 2].map((k) => deliver('/v1/alerts', plain({ id: `a${n}${k}` }), each).expect(202)),
    ),
  )
  await Promise.all(servers.map((each) => each.inbox.process()))
  // A server that found rows taken by another has nothing left; the other one may still be at them.
  await waitFor(async () =>
    (await show('/v1/alerts')).alerts.every((each: { status: string }) => each.status === 'decided'),
  )
  const { alerts } = await show('/v1/alerts')
  expect(alerts).toHaveLength(12)
  expect(alerts.filter((each: { action: string }) => each.action === 'revert')).toHaveLength(1)
  expect((await stateOf('profiles')).epoch).toBe(epoch + 1)
  expect((await show('/v1/incidents?migration=profiles')).incidents).toHaveLength(1)
})

test('an alert that a crash left behind is taken up, and a revert already made is not made again', async () => {
  // The server dies after the revert was committed and before it could note so.
  let dead = false
  const dying = server((phases) => ({
    ...phases,
    get: (id) => (dead ? Promise.reject(new Error('killed')) : phases.get(id)),
    command: async (...args) => {
      await phases.command(...args)
      dead = true
      throw new Error('killed')
    },
  }))
  const { id } = (await deliver('/v1/alerts/alertmanager', firing({ migration: 'profiles' }), dying)).body
    .accepted[0]
  await dying.inbox.process()
  const { epoch } = await stateOf('profiles')
  expect((await show(`/v1/alerts/${id}`)).status).toBe('received')
  const outcome = await decided(id)
  expect(outcome).toMatchObject({ status: 'decided', action: 'revert', migration: 'profiles' })
  expect((await stateOf('profiles')).epoch).toBe(epoch)
  const incident = await show(`/v1/incidents/${outcome.incident}`)
  expect(incident.timeline.map((each: { kind: string }) => each.kind)).toContain('alert-received')
})

test('an alert that cannot be processed does not keep the next from reverting', async () => {
  const broken = server((phases) => ({
    ...phases,
    get: (id) => (id === 'poison' ? Promise.reject(new Error('unreadable')) : phases.get(id)),
  }))
  await deliver('/v1/alerts/alertmanager', firing({ migration: 'poison' }), broken)
  const { id } = (await deliver('/v1/alerts', plain({ id: 'a1' }), broken)).body.accepted[0]
  expect(await decided(id, broken)).toMatchObject({ action: 'revert' })
  expect(broken.faults.length).toBeGreaterThan(0)
})

test.each([
  ['an unknown field', { colour: 'red' }],
  ['a rate that is no ratio', { errorRate: 7.2 }],
  ['a window without unit', { window: '60' }],
  ['a time that is none', { startedAt: 'yesterday' }],
])('a plain alert with %s is refused', async (_, more) => {
  await deliver('/v1/alerts', plain(more)).expect(400)
  expect((await show('/v1/alerts')).alerts).toEqual([])
})

test('Alertmanager is read leniently where nothing is used, and strictly where it is', async () => {
  const odd = firing({ migration: 'profiles', epoch: 'seven' }, { annotations: null, values: { B: 1 } })
  await deliver('/v1/alerts/alertmanager', { ...odd, truncatedAlerts: 3, orgId: 1 }).expect(202)
  await deliver('/v1/alerts/alertmanager', { ...odd, alerts: [] }).expect(202)
  await deliver('/v1/alerts/alertmanager', { alerts: [{ status: 'maybe', startsAt: 'now' }] }).expect(400)
})
