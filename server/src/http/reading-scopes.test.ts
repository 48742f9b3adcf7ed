import { type TestStore, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFlags } from '../flags/flags.ts'
import type { openApiDocument } from './openapi.ts'
import { registrationOf, type TestApi, testApi } from './test-api.ts'

// The own migration is named as a target is: the audit log tells of both by the same name.
const OWN = 'main'
const FOREIGN = 'not-for-you'
let store: TestStore
let api: TestApi
let everything: string
let scoped: string
/** What stands for the parameters of paths: all of the migration that the token is not for. */
let foreign: Readonly<Record<string, string>>
let ownIncident: string

const get = (path: string, token = scoped) =>
  request(api.app).get(path).set('Authorization', `Bearer ${token}`)
const post = (path: string, body: object, token = everything) =>
  request(api.app).post(path).set('Authorization', `Bearer ${token}`).send(body)

async function reverted(id: string): Promise<string> {
  await api.ramped(id)
  await api.fleet.register(registrationOf(`an-instance-of-${id}`, id))
  await post(`/v1/migrations/${id}/revert`, { reason: 'x' }).expect(200)
  const incident = (await api.phases.get(id))?.state.latch?.incident ?? ''
  await post(`/v1/incidents/${incident}/ack`, {}).expect(200)
  return incident
}

/** Alerts of both, by turns; the last ones are of the other. */
async function alerted(): Promise<void> {
  for (const migration of [OWN, FOREIGN, OWN, FOREIGN, FOREIGN]) {
    const alert = { migration, errorRate: 0.5, samples: 5000, window: '1m' }
    await post('/v1/alerts', alert).expect(202)
    api.passTime(1000)
  }
  await api.inbox.process()
}

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db)
  everything = await api.token('admin')
  scoped = await api.token('admin', { name: 'scoped', migrations: [OWN] })
  ownIncident = await reverted(OWN)
  const incident = await reverted(FOREIGN)
  await alerted()
  await post('/v1/tokens', { name: 'a', role: 'alert', migrations: [FOREIGN] }).expect(201)
  await post('/v1/tokens', { name: 'b', role: 'alert', migrations: [FOREIGN, OWN] }).expect(201)
  const chat = { kind: 'webhook', url: 'https://chat.example/x' }
  await post('/v1/channels', { ...chat, name: 'theirs', migrations: [FOREIGN] }).expect(201)
  await post('/v1/channels', { ...chat, name: 'ours', migrations: [OWN, FOREIGN] }).expect(201)
  await post('/v1/alert-sources', { name: 'theirs', kind: 'plain', migrations: [FOREIGN] }).expect(201)
  await createFlags({ db: store.db, clock: api.now, announce: () => undefined }).create(
    {
      ...{ key: 'plain', description: '', enabled: true, variants: { on: true, off: false } },
      ...{ defaultVariant: 'on', offVariant: 'off', rules: [] },
    },
    'ann',
  )
  for (const [n, migration] of [OWN, FOREIGN].entries()) {
    const notice = { kind: 'incident', severity: 'info', title: migration, text: '', at: 1, migration }
    await store.db.query(
      `insert into notifications (id, key, channel, notice, status, next_at, created_at)
       select $1, $1, id, $2, 'failed', now(), now() from channels where name = 'ours'`,
      [`ntf_${n}`, { ...notice, facts: [], links: [] }],
    )
  }
  const { body } = await get(`/v1/alerts?migration=${FOREIGN}`, everything)
  foreign = { incidents: incident, alerts: body.alerts[0].id, migrations: FOREIGN, flags: 'plain' }
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

/** Every GET route that there is, with the foreign thing in its path where it takes one. */
async function reads(): Promise<readonly (readonly [route: string, path: string])[]> {
  const { body } = await request(api.app).get('/v1/openapi.json')
  const { paths } = body as Pick<ReturnType<typeof openApiDocument>, 'paths'>
  return Object.entries(paths ?? {}).flatMap(([route, methods]) => {
    if (!('get' in methods)) return []
    const kind = route.split('/')[2] ?? ''
    return [[route, route.replace(/\{\w+\}/g, foreign[kind] ?? 'nothing')] as const]
  })
}

/** Lists that are told within the scope; what else tells of migrations is about one, and refused. */
const NARROWED = [
  '/v1/alert-sources',
  '/v1/alerts',
  '/v1/channels',
  '/v1/events',
  '/v1/incidents',
  '/v1/instances',
  '/v1/migrations',
  '/v1/notifications',
  '/v1/overview',
  '/v1/snapshot',
  '/v1/targets',
  '/v1/tokens',
]

test('nothing that can be read tells a token of a migration that it is not for', async () => {
  const told: string[] = []
  const narrowed: string[] = []
  for (const [route, path] of await reads()) {
    const mine = await get(path)
    const all = await get(path, everything)
    // A refusal names what was asked for, and nothing besides.
    if (mine.status === 200 && mine.text.includes(FOREIGN)) told.push(route)
    if (mine.status === 200 && all.text.includes(FOREIGN)) narrowed.push(route)
    const isAboutOne = /^\/v1\/(migrations|incidents|alerts)\/\{/.test(route)
    if (isAboutOne) expect([route, mine.status, mine.body.code]).toEqual([route, 403, 'forbidden'])
  }
  expect(told).toEqual([])
  // Whoever adds a list that tells of migrations finds it here, and with it that it has to be narrowed.
  expect(narrowed.toSorted()).toEqual(NARROWED)
})

test('a list that is asked for another migration by name is refused as that migration is', async () => {
  for (const list of ['alerts', 'incidents', 'instances', 'stats']) {
    const { status, body } = await get(`/v1/${list}?migration=${FOREIGN}`)
    expect([list, status, body.detail]).toEqual([
      list,
      403,
      `This token is not for the migration "${FOREIGN}".`,
    ])
    await get(`/v1/${list}?migration=${OWN}`).expect(200)
  }
})

test('pages are filled from the scope, whatever else lies in between', async () => {
  const { body: alerts } = await get('/v1/alerts?limit=2')
  expect(alerts.alerts.map(({ migration }: { migration: string }) => migration)).toEqual([OWN, OWN])
  const { body: incidents } = await get('/v1/incidents?limit=1')
  expect(incidents.incidents).toMatchObject([{ id: ownIncident }])
  const { body: notices } = await get('/v1/notifications?limit=1')
  expect(notices.notifications).toMatchObject([{ notice: { migration: OWN } }])
  const { body: instances } = await get('/v1/instances?limit=1')
  expect(instances.instances).toMatchObject([{ id: `an-instance-of-${OWN}` }])
  expect(instances.next).toBeUndefined()
  expect((await get('/v1/fleet')).body).toMatchObject({ instances: 1 })
})

interface Event {
  readonly revision: number
  readonly kind: string
  readonly subject?: string
}

test('the log is told from end to end of the migrations of a token and their incidents, by pages', async () => {
  const timing = { windows: [], freezes: [], reason: 'x' }
  await request(api.app)
    .put(`/v1/targets/${OWN}/timing`)
    .set('Authorization', `Bearer ${everything}`)
    .send(timing)
    .expect(200)
  const { body } = await get('/v1/events?limit=1000', everything)
  const isOwn = ({ kind, subject }: Event) =>
    subject === ownIncident || (subject === OWN && kind !== 'target.timing-set')
  const expected = (body.events as Event[]).filter(isOwn).map(({ revision }) => revision)
  expect(expected.length).toBeGreaterThan(8)
  const found: number[] = []
  for (let before = ''; ; before = `&before=${found.at(-1)}`) {
    const page = ((await get(`/v1/events?limit=3${before}`)).body.events as Event[]).map((e) => e.revision)
    found.push(...page)
    if (page.length < 3) break
  }
  expect(found).toEqual(expected)
  const { body: own } = await get(`/v1/migrations/${OWN}/events?limit=1000`)
  expect((own.events as Event[]).map(({ kind }) => kind)).not.toContain('target.timing-set')
})

test('an alert that is about no migration is told to nobody whose token is for some', async () => {
  const alert = {
    ...{ status: 'firing', startsAt: new Date(api.now()).toISOString(), endsAt: '0001-01-01T00:00:00Z' },
    ...{ labels: { alertname: 'Elsewhere' }, annotations: {}, fingerprint: 'f', generatorURL: '' },
  }
  const delivery = {
    ...{ version: '4', status: 'firing', receiver: 'r', groupKey: 'g', truncatedAlerts: 0, alerts: [alert] },
    ...{ groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: 'http://am.example' },
  }
  const { body } = await post('/v1/alerts/alertmanager', delivery).expect(202)
  const { id } = body.accepted[0]
  await get(`/v1/alerts/${id}`, everything).expect(200)
  expect((await get(`/v1/alerts/${id}`)).body).toMatchObject({
    status: 403,
    detail: 'This token is for certain migrations only.',
  })
  const { body: listed } = await get('/v1/alerts')
  expect(listed.alerts.map((each: { id: string }) => each.id)).not.toContain(id)
})

test('flags are evaluated as an instance with that token would: those of others are not there', async () => {
  const context = { context: { targetingKey: 'u' } }
  const { body } = await post('/ofrep/v1/evaluate/flags', context, scoped).expect(200)
  const keys = (body.flags as { key: string }[]).map(({ key }) => key)
  expect(keys).toEqual([`${OWN}.backfill`, `${OWN}.read`, `${OWN}.write`, 'plain'])
  for (const path of ['/ofrep/v1/evaluate/flags/KEY', '/v1/flags/KEY/evaluate']) {
    await post(path.replace('KEY', `${OWN}.read`), context, scoped).expect(200)
    await post(path.replace('KEY', `${FOREIGN}.read`), context, scoped).expect(404)
    await post(path.replace('KEY', `${FOREIGN}.read`), context).expect(200)
  }
})

test('tokens, channels and sources are shown where they concern the reader, without what does not', async () => {
  const { tokens } = (await get('/v1/tokens')).body as {
    tokens: { name: string; migrations?: string[] }[]
  }
  expect(tokens.map(({ name, migrations }) => [name, migrations]).toSorted()).toEqual([
    ['a admin', undefined],
    ['b', [OWN]],
    ['scoped', [OWN]],
  ])
  expect((await get('/v1/channels')).body.channels).toMatchObject([{ name: 'ours', migrations: [OWN] }])
  expect((await get('/v1/alert-sources')).body.sources).toEqual([])
})
