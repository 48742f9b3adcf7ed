import type { Measurement, Telemetry } from '@switchback/migrations-registry'
import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TestApi } from '../http/test-api.ts'
import { registrationOf, testApi } from '../http/test-api.ts'
import { createFailures } from './failures.ts'

let store: TestStore
let api: TestApi
let admin: string

beforeEach(async () => {
  store = await testStore()
  api = testApi(store.db)
  admin = await api.token('admin')
})
afterEach(async () => {
  await api.stop()
  await store.drop()
})

const get = async (path: string, token = admin) =>
  await request(api.app).get(path).set('Authorization', `Bearer ${token}`)
const post = async (path: string, body: object) =>
  await request(api.app).post(path).set('Authorization', `Bearer ${admin}`).send(body)

/** Reverts by an alert that began five seconds before it came. */
async function reverted(id: string): Promise<string> {
  await api.ramped(id, 'owner: { team: riders, contacts: ["#riders-oncall"] }\n')
  await api.fleet.register(registrationOf(`${id}-1`, id))
  api.passTime(10_000)
  const startedAt = new Date(api.now() - 5_000).toISOString()
  const alert = { migration: id, errorRate: 0.072, samples: 5000, window: '1m', startedAt }
  await post('/v1/alerts', alert)
  await api.inbox.process()
  const { body } = await get(`/v1/incidents?migration=${id}`)
  const [incident] = body.incidents
  const epoch = incident.to.epoch
  await api.fleet.heartbeat(`${id}-1`, `${id}-1-1`, {
    revision: 0,
    positions: { [id]: { applied: epoch, drained: epoch } },
  })
  await api.incidents.observeProgress([id])
  return incident.id
}

test('the report tells from the first sign to the last acknowledgement, with the numbers that decided', async () => {
  const id = await reverted('profiles')
  await post(`/v1/incidents/${id}/ack`, {})
  const { text, headers } = await get(`/v1/incidents/${id}/report`)
  expect(headers['content-type']).toBe('text/markdown; charset=utf-8')
  for (const each of [
    /# profiles reverted from ramp/,
    /\| the last instance had switched \(time to rollback\) \| 5s/,
    /first-bad-sample[^\n]*\n[\s\S]*alert-received[^\n]*\n[\s\S]*decided[^\n]*\n[\s\S]*reverted[^\n]*\n[\s\S]*last-ack[^\n]*\n[\s\S]*acknowledged/,
    /"errorRate": 0.072/,
    /1 instances: profiles-1 \(rides-api 1\.0\.0\)/,
    /taken up \| a admin/,
    /\*\*reverted:\*\* profiles was switched back from ramp to dual-write/,
  ])
    expect(text).toMatch(each)
  const { body } = await get(`/v1/incidents/${id}/communications`)
  expect(Object.keys(body)).toEqual(['investigating', 'identified', 'reverted', 'resolved'])
  const stranger = await api.token('viewer', { migrations: ['another'] })
  expect((await get(`/v1/incidents/${id}/report`, stranger)).status).toBe(403)
})

test('the figures of the mission are those of what happened', async () => {
  await reverted('profiles')
  await api.registered('waiting')
  const { body } = await get('/v1/stats')
  expect(body).toMatchObject({
    migrations: { total: 2, completed: 0, reverted: 1, underWay: 1, successRate: 0 },
    reverts: { total: 1, byCause: { alert: 1 }, refused: 0 },
    corruptionIncidents: 0,
    satisfaction: { answers: 0 },
  })
  expect(body.reverts.timeToRollback.max).toBeGreaterThanOrEqual(5_000)
  await store.db.query(
    `update migrations set state = jsonb_set(state, '{phase}', '"contracted"') where id = 'waiting'`,
  )
  expect((await post('/v1/migrations/profiles/satisfaction', { score: 5 })).status).toBe(409)
  expect((await post('/v1/migrations/waiting/satisfaction', { score: 6 })).status).toBe(400)
  expect((await post('/v1/migrations/waiting/satisfaction', { score: 4 })).status).toBe(204)
  expect((await get('/v1/stats')).body).toMatchObject({
    migrations: { completed: 1, successRate: 0.5 },
    satisfaction: { answers: 1, mean: 4 },
  })
  expect((await get('/v1/stats?migration=waiting')).body.reverts.total).toBe(0)
  const viewer = await api.token('viewer', { migrations: ['waiting'] })
  expect((await get('/v1/stats', viewer)).body.migrations.total).toBe(1)
  const metrics = (await get('/metrics')).text
  expect(metrics).toMatch(/switchback_success_ratio 0\.5/)
  expect(metrics).toMatch(/switchback_time_to_rollback_seconds\{quantile="1"\} [5-9]/)
})

test('failures of new count where new served, and nowhere else', async () => {
  await api.ramped('profiles')
  const epoch = (await api.phases.get('profiles'))?.state.epoch ?? 0
  const failures = createFailures({
    db: store.db,
    phases: api.phases,
    onFault: (error) => expect(error).toBe(undefined),
    intervalMs: 1_000_000,
  })
  const of = (more: Partial<Measurement>): Telemetry => ({
    dropped: 0,
    measurements: [
      {
        migration: 'profiles',
        epoch,
        path: 'new',
        operation: 'read',
        count: 10,
        errors: { E: 2, F: 1 },
        latency: [],
        mismatches: 0,
        compared: 0,
        secondaryFailures: 0,
        ...more,
      },
    ],
  })
  failures.record(of({ count: 14, errors: { E: 5, F: 1 }, shadow: { count: 4, failed: 3 } }))
  // Old leads writes in a ramp; what fails on old is not the migration's.
  failures.record(of({ operation: 'write' }))
  failures.record(of({ path: 'old' }))
  failures.record(of({ migration: 'unknown' }))
  failures.record(of({ epoch: 1 }))
  await failures.stop()
  expect((await get('/v1/stats')).body.downtime).toEqual({ served: 10, failed: 3 })
})

test('a runbook is made of where the migration stands', async () => {
  await reverted('profiles')
  const { text, headers } = await get('/v1/migrations/profiles/runbook')
  expect(headers['content-type']).toBe('text/markdown; charset=utf-8')
  expect(text).toMatch(/stands at \*\*dual-write\*\*/)
  expect(text).toMatch(/\*\*Latched\*\*/)
  expect(text).toContain('1. #riders-oncall')
  expect((await get('/v1/migrations/nothing/runbook')).status).toBe(404)
})
