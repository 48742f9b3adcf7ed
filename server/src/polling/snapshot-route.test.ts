import { testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { registrationOf, type TestApi, testApi } from '../http/test-api.ts'

const store = await testStore()
const apis: TestApi[] = []
const start = (): TestApi => {
  const api = testApi(store.db)
  apis.push(api)
  return api
}
let api: TestApi
let token: string

beforeAll(async () => {
  api = start()
  await api.registered('one')
  await api.registered('two')
  token = await api.token('sdk')
})
afterAll(async () => {
  await Promise.all(apis.map((each) => each.stop()))
  await store.drop()
})

const get = (on: TestApi, path: string, etag = '', as = token) =>
  request(on.app).get(path).set('Authorization', `Bearer ${as}`).set('If-None-Match', etag)

test('a request that is held is answered by a change, and with 304 at the end of its time', async () => {
  const { headers } = await get(api, '/v1/snapshot').expect(200)
  const { etag } = headers
  expect((await get(api, '/v1/snapshot?wait=1', etag).expect(304)).headers.etag).toBe(etag)
  const held = get(api, '/v1/snapshot?wait=50', etag).expect(200)
  const [answer] = await Promise.all([held, api.registered('three')])
  expect(answer.body.migrations).toHaveLength(3)
  expect(answer.headers.etag).not.toBe(etag)
})

test('a change that is not told of holds on to the request', async () => {
  const { etag } = (await get(api, '/v1/snapshot').expect(200)).headers
  const held = get(api, '/v1/snapshot?wait=2', etag).expect(304)
  await Promise.all([held, api.token('viewer')])
})

test.each(['51', '-1', '1.5', 'long'])('a wait of %s is refused', async (wait) => {
  await get(api, `/v1/snapshot?wait=${wait}`).expect(400)
})

test('a restored store that gives a revision out again is not taken for what it was', async () => {
  const { headers, body } = await get(api, '/v1/snapshot').expect(200)
  await store.db.query(`update migrations set state = jsonb_set(state, '{epoch}', '77') where id = 'one'`)
  const after = await get(start(), '/v1/snapshot', headers.etag).expect(200)
  expect(after.body.revision).toBe(body.revision)
})

test('a token for certain migrations is told of those alone, however it asks', async () => {
  const scoped = await api.token('sdk', { migrations: ['two'] })
  const ids = ({ migrations }: { migrations: { id: string }[] }) => migrations.map(({ id }) => id)
  expect(ids((await get(api, '/v1/snapshot', '', scoped).expect(200)).body)).toEqual(['two'])
  const registered = await request(api.app)
    .post('/v1/sdk/register')
    .set('Authorization', `Bearer ${scoped}`)
    .send(registrationOf('i-1', 'two'))
    .expect(200)
  expect(ids(registered.body.snapshot)).toEqual(['two'])
})

test('viewers and alerts may neither register nor speak for an instance', async () => {
  for (const role of ['viewer', 'operator', 'alert'] as const) {
    const other = await api.token(role)
    const post = (path: string, body: object) =>
      request(api.app).post(path).set('Authorization', `Bearer ${other}`).send(body).expect(403)
    await post('/v1/sdk/register', registrationOf('i-2', 'two'))
    await post('/v1/sdk/instances/i-1/goodbye?incarnation=i-1-1', { revision: 0, positions: {} })
  }
})
