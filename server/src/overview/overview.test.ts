import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestApi } from '../http/test-api.ts'
import { registrationOf, testApi } from '../http/test-api.ts'

let store: TestStore
let api: TestApi
let admin: string
let scoped: string

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db)
  admin = await api.token('admin')
  scoped = await api.token('viewer', { migrations: ['a-ramp'] })
  await api.registered('a-planned')
  await api.ramped('a-ramp')
  await api.ramped('b-ramp')
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

const get = (path: string, token = admin) =>
  request(api.app).get(path).set('Authorization', `Bearer ${token}`)
const revert = (id: string) =>
  request(api.app)
    .post(`/v1/migrations/${id}/revert`)
    .set('Authorization', `Bearer ${admin}`)
    .send({ reason: 'test' })

test('a page of the overview says where to go on, and what there is in all', async () => {
  const { body } = await get('/v1/overview?limit=2').expect(200)
  expect(body.totals).toEqual({ all: 3, active: 2, attention: 0, planned: 1, done: 0 })
  expect(body.migrations.map(({ id }: { id: string }) => id)).toEqual(['a-ramp', 'b-ramp'])
  const { body: rest } = await get(`/v1/overview?limit=2&after=${body.next}`).expect(200)
  expect(rest.migrations.map(({ id }: { id: string }) => id)).toEqual(['a-planned'])
  expect(rest.next).toBeUndefined()
})

test('a token for one migration sees that one alone', async () => {
  const { body } = await get('/v1/overview', scoped).expect(200)
  expect(body.migrations.map(({ id }: { id: string }) => id)).toEqual(['a-ramp'])
  expect(body.totals.all).toBe(1)
  await get('/v1/migrations/b-ramp/way-back', scoped).expect(403)
  await get('/v1/migrations/b-ramp/files', scoped).expect(403)
})

test('instances that lag behind are counted, and hold the migration', async () => {
  await api.fleet.register(registrationOf('late', 'b-ramp'))
  const { body } = await get('/v1/overview?search=b-ramp').expect(200)
  expect(body.migrations[0]).toMatchObject({
    direction: 'holding',
    fleet: { instances: 1, live: 1, applied: 0, drained: 0 },
    holds: [{ code: 'instance-not-drained' }],
  })
  const { body: behind } = await get('/v1/instances?state=behind').expect(200)
  expect(behind.instances.map(({ id }: { id: string }) => id)).toEqual(['late'])
  expect((await get('/v1/instances?search=nobody').expect(200)).body.instances).toEqual([])
  expect((await get('/v1/migrations/b-ramp/positions').expect(200)).body.groups).toMatchObject([
    { app: 'rides-api', live: true, instances: 1 },
  ])
  expect((await get('/v1/fleet').expect(200)).body).toMatchObject({ instances: 1, live: 1 })
})

test('the way back is told before it is taken, and is the one that is taken', async () => {
  const { body: ahead } = await get('/v1/migrations/a-ramp/way-back').expect(200)
  expect(ahead).toMatchObject({
    possible: true,
    at: 'dual-write',
    target: 'dual-write',
    speed: 'instant',
    flags: { write: 'dual-old', read: { kind: 'fixed', variant: 'old' } },
    choices: ['planned', 'expanded', 'dual-write'],
  })
  await revert('a-ramp').expect(200)
  const { body } = await get('/v1/migrations/a-ramp').expect(200)
  expect(body.state.phase).toBe(ahead.target)
  expect(body.config).toMatchObject(ahead.flags)
  const { body: list } = await get('/v1/overview').expect(200)
  expect(list.migrations[0]).toMatchObject({
    id: 'a-ramp',
    direction: 'reverted',
    attention: true,
    openIncidents: 1,
  })
})

test('what cannot be reverted says why', async () => {
  const { body } = await get('/v1/migrations/a-planned/way-back').expect(200)
  expect(body).toMatchObject({ possible: false, refusal: { code: 'nothing-to-revert' }, choices: [] })
  await get('/v1/migrations/none/way-back').expect(404)
})

test('the files come as they were registered, with what the lint says', async () => {
  const { body } = await get('/v1/migrations/b-ramp/files').expect(200)
  expect(body.yaml).toContain('id: b-ramp')
  expect(Object.keys(body.sql).sort()).toEqual(['contract', 'expand', 'rollback'])
  expect(body.findings).toEqual([])
})

test('who asks is told who it is, and which roles may do what', async () => {
  const { body } = await get('/v1/me', scoped).expect(200)
  expect(body).toMatchObject({ role: 'viewer', migrations: ['a-ramp'] })
  expect(body.permissions.operate).toEqual(['operator', 'approver', 'admin'])
})
