import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDb } from '../db/db.ts'
import { STORE_SCHEMA } from '../db/store-schema.ts'
import type { Role } from '../tokens/permissions.ts'
import { ROLES } from '../tokens/permissions.ts'
import type { TestApi } from './test-api.ts'
import { registrationOf, testApi, yamlOf } from './test-api.ts'

let store: TestStore
let api: TestApi
const tokens = new Map<Role, string>()
const as = (role: Role): string => `Bearer ${tokens.get(role)}`
const get = (path: string, role: Role = 'admin') => request(api.app).get(path).set('Authorization', as(role))
const post = (path: string, body: object, role: Role = 'admin') =>
  request(api.app).post(path).set('Authorization', as(role)).send(body)
const sql = { expand: 'create table b ()', rollback: 'drop table b', contract: 'drop table a' }

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db)
  for (const role of ROLES) tokens.set(role, await api.token(role))
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

test('without a token 401 and how to send one; with an unknown one as well', async () => {
  const none = await request(api.app).get('/v1/migrations').expect(401)
  expect(none.headers['www-authenticate']).toContain('Bearer')
  expect(none.headers['content-type']).toContain('application/problem+json')
  expect(none.body).toMatchObject({
    code: 'unauthenticated',
    status: 401,
    type: 'urn:switchback:problem:unauthenticated',
  })
  await request(api.app).get('/v1/migrations').set('Authorization', 'Bearer nobody').expect(401)
  await request(api.app)
    .get('/v1/migrations')
    .set('X-API-Key', tokens.get('viewer') ?? '')
    .expect(200)
})

const ALL: readonly Role[] = ROLES
test.each([
  ['get', '/v1/migrations', ['viewer', 'operator', 'approver', 'admin']],
  ['post', '/v1/migrations', ['operator', 'approver', 'admin']],
  ['post', '/v1/migrations/none/advance', ['operator', 'approver', 'admin']],
  ['post', '/v1/migrations/none/revert', ['operator', 'approver', 'admin']],
  ['post', '/v1/migrations/none/approve', ['approver', 'admin']],
  ['post', '/v1/migrations/none/restore', ['approver', 'admin']],
  ['post', '/v1/flags', ['operator', 'approver', 'admin']],
  ['post', '/v1/flags/none/evaluate', ['viewer', 'operator', 'approver', 'admin', 'sdk']],
  ['post', '/ofrep/v1/evaluate/flags', ['viewer', 'operator', 'approver', 'admin', 'sdk']],
  ['delete', '/v1/instances/none', ['admin']],
  ['post', '/v1/alerts', ['alert', 'admin']],
  ['post', '/v1/alerts/alertmanager', ['alert', 'admin']],
  ['get', '/v1/alerts', ['viewer', 'operator', 'approver', 'admin']],
  ['get', '/v1/tokens', ['admin']],
  ['get', '/v1/snapshot', ['sdk', 'admin']],
  ['get', '/v1/events', ['viewer', 'operator', 'approver', 'admin']],
] as const)('%s %s is for %j', async (method, path, allowed: readonly Role[]) => {
  for (const role of ALL) {
    const response = await request(api.app)[method](path).set('Authorization', as(role))
    if (allowed.includes(role)) expect([role, response.status]).not.toEqual([role, 403])
    else {
      expect([role, response.status]).toEqual([role, 403])
      for (const other of allowed) expect(response.body.detail).toContain(other)
    }
  }
})

test('what is wrong with a request is told as a problem', async () => {
  const malformed = await post('/v1/migrations', {}).set('Content-Type', 'application/json').send('{"a":')
  expect([malformed.status, malformed.body.code]).toEqual([400, 'malformed-json'])
  const text = await post('/v1/migrations', {}).set('Content-Type', 'text/plain').send('hello')
  expect([text.status, text.body.code]).toEqual([415, 'unsupported-media-type'])
  const large = await post('/v1/migrations', { yaml: 'x'.repeat(1_000_001) })
  expect([large.status, large.body.code]).toEqual([413, 'too-large'])
  const unknown = await post('/v1/migrations', { yaml: 'id: x', sql, more: 1, rest: 2 })
  expect(unknown.status).toBe(400)
  expect(unknown.body.problems).toEqual([
    { path: 'body.more', message: 'unknown field "more"' },
    { path: 'body.rest', message: 'unknown field "rest"' },
  ])
  const nothing = await get('/v1/nothing')
  expect([nothing.status, nothing.body.code]).toEqual([404, 'not-found'])
  const method = await request(api.app).put('/v1/migrations').set('Authorization', as('admin'))
  expect([method.status, method.headers.allow]).toEqual([405, 'GET, HEAD, POST'])
  const query = await get('/v1/events?limit=0&colour=red')
  expect(query.body.problems.map((each: { path: string }) => each.path)).toEqual([
    'query.limit',
    'query.colour',
  ])
  const prototype = await post('/v1/migrations', {})
    .set('Content-Type', 'application/json')
    .send('{"yaml":"x","sql":{"expand":"x"},"__proto__":{"a":1}}')
  expect(prototype.status).toBe(400)
})

test('an unauthenticated body is not even read', async () => {
  const response = await request(api.app)
    .post('/v1/migrations')
    .set('Content-Type', 'application/json')
    .send('{')
  expect(response.status).toBe(401)
})

test('a definition with faults is refused with every line', async () => {
  const { status, body } = await post('/v1/migrations', { yaml: 'id: Bad Id\ntitle: x\ncolour: red\n', sql })
  expect([status, body.code]).toEqual([422, 'invalid-definition'])
  expect(body.problems).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ file: 'migration.yaml', line: 1, path: 'id' }),
      expect.objectContaining({ file: 'migration.yaml', line: 3, path: 'colour' }),
    ]),
  )
})

test('a migration is registered, shown, advanced, and refused with its blockers', async () => {
  const made = await post('/v1/migrations', { yaml: yamlOf('walk', 'apps: [rides-api]\n'), sql }, 'operator')
  expect([made.status, made.body.state.phase, made.body.state.epoch]).toEqual([201, 'planned', 1])
  expect((await get('/v1/migrations', 'viewer')).body.migrations.map((m: { id: string }) => m.id)).toContain(
    'walk',
  )
  await api.fleet.register(registrationOf('i-1', 'walk'))
  const detail = (await get('/v1/migrations/walk', 'viewer').expect(200)).body
  expect(detail).toMatchObject({ gate: { next: { kind: 'work', work: 'expand' } }, incidents: [], works: [] })
  expect(detail.fleet).toMatchObject({ instances: 1, live: 1 })
  expect(detail.state.history).toBeUndefined()
  const early = await post('/v1/migrations/walk/advance', {}, 'operator')
  expect([early.status, early.body.blockers[0].subject]).toEqual([409, 'i-1'])
  await api.fleet.heartbeat('i-1', 'i-1-1', { revision: 0, positions: { walk: { applied: 1, drained: 1 } } })
  const advanced = await post('/v1/migrations/walk/advance', {}, 'operator').expect(200)
  expect(advanced.body.state.work).toMatchObject({ kind: 'expand' })
  const closed = await post('/v1/migrations/walk/advance', {}, 'operator')
  expect([closed.status, closed.body.code]).toEqual([409, 'gate-closed'])
  expect(closed.body.blockers[0]).toMatchObject({ code: 'work-running', action: expect.any(String) })
  await post('/v1/migrations/walk/pause', {}).expect(200)
  expect(
    (await get('/v1/migrations/walk/gate')).body.blockers.map((b: { code: string }) => b.code),
  ).toContain('paused')
  await request(api.app).post('/v1/migrations/walk/resume').set('Authorization', as('operator')).expect(200)
  const events = (await get('/v1/migrations/walk/events')).body.events.map((e: { kind: string }) => e.kind)
  expect(events).toEqual([
    'migration.resumed',
    'migration.paused',
    'migration.advanced',
    'migration.registered',
  ])
  const missing = await get('/v1/migrations/unheard-of')
  expect([missing.status, missing.body.code]).toEqual([404, 'unknown-migration'])
})

test('to pass over blockers takes an admin and a reason', async () => {
  await post('/v1/migrations/walk/advance', { force: ['soak'], reason: 'x' }, 'operator').expect(403)
  const bare = await post('/v1/migrations/walk/advance', { force: ['soak'] })
  expect([bare.status, bare.body.problems[0].path]).toEqual([400, 'body.reason'])
})

test('a revert by hand opens an incident, and re-arming resolves it', async () => {
  await api.ramped('by-hand')
  const back = await post('/v1/migrations/by-hand/revert', { reason: 'empty bios' }, 'operator').expect(200)
  expect(back.body.state).toMatchObject({ phase: 'dual-write', latch: { reason: 'empty bios' } })
  const { incident } = back.body.state.latch
  const open = (await get(`/v1/incidents/${incident}`)).body
  expect(open).toMatchObject({
    status: 'open',
    cause: { kind: 'manual', by: 'a operator' },
    from: { phase: 'ramp' },
  })
  expect(open.timeline.map((each: { kind: string }) => each.kind)).toEqual(['reverted'])
  await post('/v1/migrations/by-hand/rearm', { reason: 'fixed' }).expect(200)
  const resolved = (await get(`/v1/incidents/${incident}`)).body
  expect([resolved.status, resolved.timeline.at(-1).kind]).toEqual(['resolved', 'rearmed'])
})

test('a revert asked for twice where nothing could move yet has two incidents and fails neither', async () => {
  await api.registered('twice')
  await post('/v1/migrations/twice/advance', {}).expect(200)
  await post('/v1/migrations/twice/revert', { reason: 'stop' }).expect(200)
  await post('/v1/migrations/twice/rearm', { reason: 'go' }).expect(200)
  const migration = await api.phases.get('twice')
  const work = migration?.state.work
  if (work !== undefined) {
    const done = { type: 'work-done', kind: work.kind, epoch: work.epoch } as const
    await api.phases.command('twice', done, { name: 'engine' })
  }
  await post('/v1/migrations/twice/advance', {}).expect(200)
  await post('/v1/migrations/twice/revert', { reason: 'stop again' }).expect(200)
  expect((await get('/v1/incidents?migration=twice')).body.incidents).toHaveLength(2)
})

test('a token for certain migrations reaches no others', async () => {
  await api.registered('mine')
  const scoped = `Bearer ${await api.token('operator', { migrations: ['mine'] })}`
  const ask = (path: string) => request(api.app).get(path).set('Authorization', scoped)
  expect((await ask('/v1/migrations')).body.migrations.map((m: { id: string }) => m.id)).toEqual(['mine'])
  await ask('/v1/migrations/mine').expect(200)
  await ask('/v1/migrations/walk').expect(403)
  await request(api.app).post('/v1/migrations/walk/pause').set('Authorization', scoped).expect(403)
  const other = await request(api.app)
    .post('/v1/migrations')
    .set('Authorization', scoped)
    .send({ yaml: yamlOf('theirs'), sql })
  expect(other.status).toBe(403)
  await request(api.app).post('/v1/flags').set('Authorization', scoped).send({ key: 'x' }).expect(403)
})

test('tokens are made, listed without text, revoked, and never named like a part of the server', async () => {
  const made = await post('/v1/tokens', { name: 'deploy bot', role: 'operator' }).expect(201)
  expect(made.body.token).toMatch(/^sb_operator_/)
  const list = await get('/v1/tokens')
  expect(JSON.stringify(list.body)).not.toContain(made.body.token)
  const use = () => request(api.app).get('/v1/migrations').set('Authorization', `Bearer ${made.body.token}`)
  await use().expect(200)
  await request(api.app).delete(`/v1/tokens/${made.body.id}`).set('Authorization', as('admin')).expect(204)
  await use().expect(401)
  await post('/v1/tokens', { name: 'engine', role: 'operator' }).expect(400)
  await post('/v1/tokens', { name: 'late', role: 'operator', expiresAt: 1 }).expect(400)
})

test('instances are listed by pages and forgotten by name', async () => {
  for (const id of ['p-1', 'p-2', 'p-3']) await api.fleet.register(registrationOf(id, 'mine'))
  const first = (await get('/v1/instances?migration=mine&limit=2')).body
  expect([first.instances.map((i: { id: string }) => i.id), first.next]).toEqual([['p-1', 'p-2'], 'p-2'])
  const second = (await get('/v1/instances?migration=mine&limit=2&after=p-2')).body
  expect([second.instances.map((i: { id: string }) => i.id), second.next]).toEqual([['p-3'], undefined])
  const forget = (id: string, body: object) =>
    request(api.app).delete(`/v1/instances/${id}`).set('Authorization', as('admin')).send(body)
  await forget('p-1', {}).expect(400)
  await forget('p-1', { reason: 'scaled down' }).expect(204)
  await forget('p-1', { reason: 'scaled down' }).expect(404)
})

test('many failures from one address are told to wait; a good token passes even then', async () => {
  const fresh = testApi(store.db)
  const bad = () => request(fresh.app).get('/v1/migrations').set('Authorization', 'Bearer wrong')
  let last = await bad()
  for (let n = 0; n < 31 && last.status === 401; n++) last = await bad()
  expect([last.status, Number(last.headers['retry-after']) > 0]).toEqual([429, true])
  await request(fresh.app).get('/v1/migrations').set('Authorization', as('viewer')).expect(200)
  fresh.passTime(61_000)
  expect((await bad()).status).toBe(401)
  await fresh.stop()
})

test('what was changed is in the audit log, and the log proves it', async () => {
  const verified = (await get('/v1/audit/verify')).body
  expect(verified).toMatchObject({ ok: true })
  const oldest = (await get('/v1/events?since=0&limit=3')).body.events
  expect(oldest.map((e: { revision: number }) => e.revision)).toEqual([1, 2, 3])
  const newest = (await get('/v1/events?limit=1')).body.events
  expect(newest[0].revision).toBe(verified.events)
})

test('no credential is logged, whatever is asked', async () => {
  await get('/v1/migrations?token=secret-in-query').expect(400)
  const all = api.logged.join('')
  for (const token of tokens.values()) expect(all).not.toContain(token)
  expect(all).not.toContain('secret-in-query')
})

test('a store that is away is told as such: 503, not ready, and metrics still answer', async () => {
  const gone = createDb({ url: 'postgres://postgres@127.0.0.1:1/none', name: 'test', schema: STORE_SCHEMA })
  const away = testApi(gone)
  const asked = await request(away.app).get('/v1/migrations').set('Authorization', as('admin'))
  expect([asked.status, asked.body.code, asked.headers['retry-after']]).toEqual([
    503,
    'store-unavailable',
    '2',
  ])
  expect(JSON.stringify(asked.body)).not.toMatch(/127\.0\.0\.1|ECONN|at .*\.ts/)
  await request(away.app).get('/healthz').expect(200)
  const ready = await request(away.app).get('/readyz').expect(503)
  expect(ready.body).toMatchObject({ ready: false, checks: { store: { ok: false } } })
  expect((await request(away.app).get('/metrics').expect(200)).text).toContain('switchback_store_up 0')
  await away.stop()
  await gone.end()
})

test('ready and measured where all is well', async () => {
  const ready = await request(api.app).get('/readyz').expect(200)
  expect(ready.body).toMatchObject({ ready: true, checks: { store: { ok: true }, schema: { ok: true } } })
  const { text } = await request(api.app).get('/metrics').expect(200)
  expect(text).toContain('switchback_store_up 1')
  expect(text).toMatch(/switchback_migration_info\{migration="by-hand",phase="dual-write"\} 1/)
  expect(text).toMatch(/switchback_reverts\{migration="by-hand",cause="manual"\} 1/)
  expect(text).toMatch(
    /switchback_http_request_seconds_count\{method="GET",route="\/v1\/migrations\/\{id\}",status="200"\}/,
  )
})

test('docs/openapi.json is current', async () => {
  const { body } = await request(api.app).get('/v1/openapi.json').expect(200)
  await expect(`${JSON.stringify(body, null, 2)}\n`).toMatchFileSnapshot('../../../docs/openapi.json')
  const missing = [...JSON.stringify(body).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].filter(
    ([, name]) => body.components.schemas[name ?? ''] === undefined,
  )
  expect(missing).toEqual([])
  expect(JSON.stringify(body)).not.toContain('$defs')
})
