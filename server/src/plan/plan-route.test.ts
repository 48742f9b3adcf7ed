import { type TestStore, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestApi, testApi } from '../http/test-api.ts'

let store: TestStore
let api: TestApi

beforeEach(async () => {
  store = await testStore()
  api = testApi(store.db)
})
afterEach(async () => {
  await api.stop()
  await store.drop()
})

const plan = async (id: string) =>
  await request(api.app)
    .get(`/v1/migrations/${id}/plan`)
    .set('Authorization', `Bearer ${await api.token('viewer')}`)

test('the plan tells the way back from each phase, and from where on it is slow', async () => {
  await api.registered('m')
  const { body } = await plan('m')
  expect(body.slowFrom).toBe('retired')
  expect(
    body.phases.map(({ phase, way, revertsTo }: Record<string, string>) => [phase, way, revertsTo]),
  ).toEqual([
    ['planned', 'none', undefined],
    ['expanded', 'rollback', 'planned'],
    ['dual-write', 'flags', 'expanded'],
    ['backfill', 'flags', 'dual-write'],
    ['shadow', 'flags', 'dual-write'],
    ['ramp', 'flags', 'dual-write'],
    ['promoted', 'flags', 'dual-write'],
    ['retired', 'slow', 'promoted'],
    ['contracted', 'slow', 'retired'],
  ])
  expect(body.statements.map(({ file, text }: Record<string, string>) => [file, text])).toEqual([
    ['expand', 'create table b ()'],
    ['rollback', 'drop table b'],
    ['contract', 'drop table a'],
  ])
})

test('there is no plan of what nobody registered', async () => {
  expect((await plan('none')).status).toBe(404)
})
