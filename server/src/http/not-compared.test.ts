import { type TestStore, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestApi, testApi } from './test-api.ts'

let store: TestStore
let api: TestApi
let admin: string
let away: boolean

beforeEach(async () => {
  away = false
  store = await testStore()
  api = testApi(store.db, { targetAway: () => away })
  admin = await api.token('admin')
  await api.ramped('profiles')
  // Nothing of it is left by a crash of the store, or in a backup.
  await store.db.query('truncate comparisons')
  away = true
})
afterEach(async () => {
  await api.stop()
  await store.drop()
})

const get = async (path: string) =>
  (await request(api.app).get(path).set('Authorization', `Bearer ${admin}`)).body
const post = (path: string, body: object) =>
  request(api.app).post(path).set('Authorization', `Bearer ${admin}`).send(body)
const metric = async () => (await api.metrics.render()).match(/^switchback_migration_compared.*$/m)?.[0]
/** Long enough for a target to be asked again that has not answered. */
const later = () => api.passTime(2_000)

test('what has not been compared says so everywhere, refuses a revert with what to do, and makes it when it can', async () => {
  const shown = await get('/v1/migrations/profiles')
  expect(shown.compared).toBe(false)
  expect(shown.gate.blockers[0]).toMatchObject({ code: 'target-not-compared', subject: 'main' })
  const overview = await get('/v1/overview')
  expect(overview.migrations[0]).toMatchObject({ attention: true, holds: [{ code: 'target-not-compared' }] })
  expect(await get('/v1/migrations/profiles/way-back')).toMatchObject({
    possible: false,
    refusal: { code: 'target-not-compared' },
  })
  expect(await metric()).toBe('switchback_migration_compared{migration="profiles"} 0')
  const refused = await post('/v1/migrations/profiles/revert', { reason: 'slow' }).expect(409)
  expect(refused.body).toMatchObject({ code: 'target-not-compared' })
  expect(refused.body.detail).toContain('target "main" has not answered')
  expect(refused.body.action).toContain('See that the server reaches target "main"')
  away = false
  later()
  const { body } = await post('/v1/migrations/profiles/revert', { reason: 'slow' }).expect(200)
  expect(body).toMatchObject({ compared: true, state: { phase: 'dual-write' } })
  expect(await metric()).toBe('switchback_migration_compared{migration="profiles"} 1')
  expect((await get('/v1/migrations/profiles/way-back')).refusal?.code).not.toBe('target-not-compared')
})

test('an alert that could not revert is kept, has a person told, and reverts once the target answers', async () => {
  const alert = { migration: 'profiles', errorRate: 0.5, samples: 5000, window: '1m' }
  const { id } = (await post('/v1/alerts', alert)).body.accepted[0]
  await api.inbox.process()
  const kept = await get(`/v1/alerts/${id}`)
  expect(kept.status).toBe('received')
  expect(kept.error).toContain('has not answered')
  const refused = (await get('/v1/incidents?migration=profiles')).incidents
  expect(refused).toMatchObject([{ kind: 'refused', status: 'open' }])
  away = false
  later()
  await api.inbox.process()
  expect(await get(`/v1/alerts/${id}`)).toMatchObject({ status: 'decided', action: 'revert' })
  expect((await get('/v1/migrations/profiles')).state.phase).toBe('dual-write')
  const kinds = (await get('/v1/incidents?migration=profiles')).incidents.map(
    ({ kind }: { kind: string }) => kind,
  )
  expect(kinds.sort()).toEqual(['refused', 'revert'])
})
