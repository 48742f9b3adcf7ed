import { type TestStore, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestApi, testApi } from './test-api.ts'

let store: TestStore
let api: TestApi

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db)
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

const YAML = 'retire: { after: 0s }\ncontract: { after: 0s, approvals: 1 }\n'
const person = async (name: string, role: 'approver' | 'operator' | 'admin') => {
  const token = await api.token(role, { name })
  return (path: string, body: object = {}) =>
    request(api.app).post(path).set('Authorization', `Bearer ${token}`).send(body)
}
const retired = async (id: string) => {
  await api.ramped(id, YAML)
  for (const phase of ['promoted', 'retired']) {
    const result = await api.phases.command(id, { type: 'advance' }, { name: 'test' })
    expect(result.ok && result.migration.state.phase).toBe(phase)
  }
  return `/v1/migrations/${id}`
}

test('contract begins only when somebody else than who begins it has approved', async () => {
  const path = await retired('two-eyes')
  const [ann, bob] = [await person('ann', 'approver'), await person('bob', 'operator')]
  expect((await ann(`${path}/advance`)).body).toMatchObject({
    status: 409,
    code: 'gate-closed',
    detail: '1 of 1 approvals are missing.',
  })
  expect((await ann(`${path}/approve`)).status).toBe(200)
  expect((await ann(`${path}/approve`)).body).toMatchObject({ status: 409, code: 'already-approved' })
  expect((await ann(`${path}/advance`)).body).toMatchObject({
    status: 409,
    code: 'gate-closed',
    blockers: [{ code: 'approvals-missing', message: expect.stringContaining('that of ann') }],
  })
  expect((await bob(`${path}/advance`)).body).toMatchObject({ state: { work: { kind: 'contract' } } })
})

test('no force passes over a missing approval, and none is given without a reason', async () => {
  const path = await retired('forced')
  const admin = await person('root', 'admin')
  const force = ['approvals-missing']
  expect((await admin(`${path}/advance`, { force })).status).toBe(400)
  expect((await admin(`${path}/advance`, { force, reason: 'in a hurry' })).body).toMatchObject({
    status: 409,
    code: 'gate-closed',
  })
})

test('force passes over what can lose no data, for an admin with a reason, and is written down', async () => {
  await api.ramped('soaking', 'retire: { after: 7d }\n')
  const path = '/v1/migrations/soaking'
  await api.phases.command('soaking', { type: 'advance' }, { name: 'test' })
  const [admin, operator] = [await person('root', 'admin'), await person('bob', 'operator')]
  const asked = { force: ['soak'], reason: 'nobody rides today' }
  expect((await admin(`${path}/advance`)).body).toMatchObject({ status: 409, blockers: [{ code: 'soak' }] })
  expect((await operator(`${path}/advance`, asked)).body).toMatchObject({ status: 403 })
  expect((await admin(`${path}/advance`, asked)).body).toMatchObject({ state: { phase: 'retired' } })
  const { rows } = await store.db.query(
    `select actor, detail -> 'command' as command from audit_events where subject = 'soaking' order by revision desc limit 1`,
  )
  expect(rows).toEqual([{ actor: 'root', command: { type: 'advance', ...asked } }])
})
