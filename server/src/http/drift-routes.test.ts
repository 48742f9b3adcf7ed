import { type TestDatabase, type TestStore, testDatabase, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import type { Role } from '../tokens/permissions.ts'
import { type TestApi, testApi } from './test-api.ts'

let store: TestStore
let database: TestDatabase
let execution: Execution
let api: TestApi
const tokens = new Map<Role, string>()
const as = (role: Role): [string, string] => ['Authorization', `Bearer ${tokens.get(role)}`]
const drift = (id = 'bios') =>
  request(api.app)
    .get(`/v1/migrations/${id}/drift`)
    .set(...as('viewer'))
const accept = (body: object, role: Role = 'admin') =>
  request(api.app)
    .post('/v1/migrations/bios/drift/accept')
    .set(...as(role))
    .send(body)

beforeAll(async () => {
  store = await testStore()
  database = await testDatabase()
  await database.pool.query('create table users (id int primary key, name text)')
  execution = createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
  })
  api = testApi(store.db, { schemaOf: () => execution })
  for (const role of ['viewer', 'operator', 'admin'] as const) tokens.set(role, await api.token(role))
  await api.registered('bios')
})
afterAll(async () => {
  await api.stop()
  await execution.end()
  await database.drop()
  await store.drop()
})

test('drift over HTTP: unknown at first, then named change by change, then accepted with a reason, on record', async () => {
  const first = await drift().expect(200)
  expect(first.body.databases).toEqual([
    { known: false, fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/), differences: [] },
  ])

  const definition = (await api.phases.get('bios'))?.definition
  if (definition === undefined) throw new Error('bios is not registered')
  const order: WorkOrder = {
    definition,
    sql: { expand: 'alter table users add column bio text' },
    epoch: 2,
    signal: new AbortController().signal,
    report: () => undefined,
    heldBackBy: () => undefined,
    committing: async () => undefined,
  }
  await execution.run('expand', order)
  const applied = await drift().expect(200)
  expect(applied.body.databases).toEqual([
    {
      known: true,
      fingerprint: applied.body.databases[0].expected,
      expected: expect.stringMatching(/^[0-9a-f]{64}$/),
      differences: [],
    },
  ])

  await database.pool.query(
    `alter table users alter column name set not null; comment on table users is 'by hand'`,
  )
  const changed = await drift().expect(200)
  expect(changed.body.databases[0].differences).toEqual([
    {
      object: 'column public.users.name',
      kind: 'changed',
      expected: 'text',
      found: 'text not null',
      message: 'column public.users.name is text not null, expected text',
    },
    expect.objectContaining({ object: 'comment of public.users', kind: 'unexpected' }),
  ])
  expect(changed.body.databases[0].fingerprint).not.toBe(changed.body.databases[0].expected)

  expect((await accept({ reason: 'agreed' }, 'operator')).status).toBe(403)
  const without = await accept({})
  expect([without.status, without.body.problems[0].path]).toEqual([400, 'body.reason'])
  const accepted = await accept({ reason: 'the DBA did it on purpose' })
  expect([accepted.status, accepted.body.databases[0].differences]).toEqual([200, []])
  const events = await request(api.app)
    .get('/v1/events?subject=bios&limit=1')
    .set(...as('viewer'))
  expect(events.body.events[0]).toMatchObject({
    kind: 'schema.drift-accepted',
    detail: {
      reason: 'the DBA did it on purpose',
      target: 'main',
      accepted: changed.body.databases[0].differences.map(({ message }: { message: string }) => message),
    },
  })
})

test('drift of a migration that is not there is a 404 that says what to do', async () => {
  const { status, body } = await drift('nothing')
  expect([status, body.code, body.action]).toEqual([
    404,
    'unknown-migration',
    'List them with GET /v1/migrations.',
  ])
})
