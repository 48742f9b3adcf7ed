import { type TestStore, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { openApiDocument } from './openapi.ts'
import { registrationOf, type TestApi, testApi, yamlOf } from './test-api.ts'

// Every route that there is, by the document that is made from the routes: one that is added later is met here too.
let store: TestStore
let api: TestApi
let scoped: string

const ids = { name: 'plain-1', key: 'a-flag', secret: 'sec_1', id: 'theirs' }
const sql = { expand: 'create table b ()' }
const flag = {
  key: 'a-flag',
  variants: { on: true, off: false },
  enabled: true,
  defaultVariant: 'on',
  offVariant: 'off',
}
const plain = { migration: 'theirs', errorRate: 0.5, samples: 5000, window: '1m' }
const timing = { windows: [], freezes: [], reason: 'x' }

/** Bodies of routes that change what belongs to no migration, or name one in the body. */
const REFUSED: Readonly<Record<string, object>> = {
  'post /v1/migrations': { yaml: yamlOf('theirs'), sql },
  'put /v1/targets/{name}/timing': timing,
  'post /v1/flags': flag,
  'put /v1/flags/{key}': flag,
  'delete /v1/flags/{key}': {},
  'delete /v1/instances/{id}': { reason: 'gone' },
  'post /v1/alerts': plain,
  'post /v1/alerts/{id}/replay': {},
  'post /v1/alert-sources': { name: 'plain-1', kind: 'plain' },
  'post /v1/alert-sources/{name}/secrets': {},
  'delete /v1/alert-sources/{name}/secrets/{secret}': {},
  'delete /v1/alert-sources/{name}': {},
  'post /v1/tokens': { name: 'wider', role: 'admin' },
  'delete /v1/tokens/{id}': {},
  'delete /v1/sessions/{id}': {},
  'post /v1/channels': { name: 'chat', kind: 'slack', url: 'https://chat.example/x' },
  'post /v1/channels/{name}/test': {},
  'delete /v1/channels/{name}': {},
  'post /v1/notifications/{id}/retry': {},
}

/** What a token with a scope may do all the same, each with why it does no harm to what is not its own. */
const ALLOWED: Readonly<Record<string, string>> = {
  'post /v1/flags/{key}/evaluate': 'changes nothing',
  'post /ofrep/v1/evaluate/flags/{key}': 'changes nothing',
  'post /ofrep/v1/evaluate/flags': 'changes nothing',
  'post /v1/can-i-deploy': 'changes nothing, and tells of its own alone',
  'post /v1/alerts/alertmanager': 'each alert is decided by the scope that it came with',
  'post /v1/incidents/{id}/ack': 'by the migration of the incident; below',
  'post /v1/sign-out': 'ends what it came with',
  'post /v1/sdk/register': 'below',
  'post /v1/sdk/instances/{id}/heartbeat': 'of an instance that has registered',
  'post /v1/sdk/instances/{id}/progress': 'of an instance that has registered',
  'post /v1/sdk/instances/{id}/telemetry': 'below',
  'post /v1/sdk/instances/{id}/goodbye': 'of an instance that has registered',
}

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db)
  await api.registered('mine')
  await api.registered('theirs')
  scoped = await api.token('admin', { migrations: ['mine'] })
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

type Method = 'get' | 'post' | 'put' | 'delete'
const ask = (method: Method, path: string, body?: object, token = scoped) =>
  request(api.app)
    [method](path.replace(/\{(\w+)\}/g, (_, name: keyof typeof ids) => ids[name]))
    .set('Authorization', `Bearer ${token}`)
    .send(body)

async function routes(): Promise<readonly (readonly [Method, string])[]> {
  const { body } = await request(api.app).get('/v1/openapi.json')
  const { paths } = body as Pick<ReturnType<typeof openApiDocument>, 'paths'>
  return Object.entries(paths ?? {}).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method as Method, path] as const),
  )
}

test('no route about one migration lets in a token that is for another, whatever it asks', async () => {
  const about = (await routes()).filter(([, path]) => path.startsWith('/v1/migrations/{id}'))
  expect(about.length).toBeGreaterThan(25)
  const letIn: string[] = []
  for (const [method, path] of about) {
    const { status, body } = await ask(method, path, method === 'get' ? undefined : {})
    if (status !== 403 || !/"theirs"/.test(body.detail)) letIn.push(`${method} ${path}: ${status}`)
  }
  expect(letIn).toEqual([])
})

test('no route that changes what belongs to no migration lets in a token that is for one', async () => {
  const changing = (await routes()).filter(
    ([method, path]) => method !== 'get' && !path.startsWith('/v1/migrations/{id}'),
  )
  const named = changing.map(([method, path]) => `${method} ${path}`)
  // Whoever adds a route says here which of the two it is.
  expect(named.toSorted()).toEqual([...Object.keys(REFUSED), ...Object.keys(ALLOWED)].toSorted())
  const letIn: string[] = []
  for (const [method, path] of changing) {
    const body = REFUSED[`${method} ${path}`]
    if (body === undefined) continue
    const { status } = await ask(method, path, body)
    if (status !== 403) letIn.push(`${method} ${path}: ${status}`)
  }
  expect(letIn).toEqual([])
})

test('an incident is taken up by no token that is not for its migration', async () => {
  const cause = { kind: 'manual', reason: 'x' } as const
  await api.ramped('broken')
  await api.phases.command('broken', { type: 'revert', cause }, { name: 'ann' })
  const incident = (await api.phases.get('broken'))?.state.latch?.incident ?? ''
  const ack = (token: string) => ask('post', `/v1/incidents/${incident}/ack`, {}, token)
  expect((await ack(scoped)).status).toBe(403)
  expect((await ack(await api.token('operator', { migrations: ['broken'] }))).status).toBe(200)
})

test('an instance that polls is refused as a whole where its token is not for what it claims', async () => {
  const token = await api.token('sdk', { migrations: ['mine'] })
  const migrations = {
    ...registrationOf('i-1', 'mine').migrations,
    ...registrationOf('i-1', 'theirs').migrations,
  }
  const registration = { ...registrationOf('i-1', 'mine'), migrations }
  const refused = await ask('post', '/v1/sdk/register', registration, token)
  // Not 403, which an SDK takes for a token that may not speak at all.
  expect(refused.status).toBe(409)
  expect(refused.body).toMatchObject({ code: 'out-of-scope', retryable: false })
  expect(refused.body.detail).toContain('"theirs"')
  expect(await api.fleet.list({ limit: 9, search: 'i-1' })).toEqual([])
})

test('an instance that polls speaks for no process, and of no migration, that its token is not for', async () => {
  const token = await api.token('sdk', { migrations: ['mine'] })
  await api.fleet.register(registrationOf('i-2', 'theirs'))
  const told = async () => (await api.fleet.factsFor(store.db, 'theirs', [])).map(({ drained }) => drained)
  const say = async (event: string, instance: string, positions: object) => {
    const path = `/v1/sdk/instances/${instance}/${event}?incarnation=${instance}-1`
    return (await ask('post', path, { revision: 0, positions }, token)).body.code
  }
  for (const event of ['heartbeat', 'progress', 'goodbye']) {
    expect([event, await say(event, 'i-2', {})]).toEqual([event, 'unknown-instance'])
  }
  await ask('post', '/v1/sdk/register', registrationOf('i-3', 'mine'), token)
  for (const event of ['heartbeat', 'progress']) {
    const code = await say(event, 'i-3', { theirs: { applied: 1, drained: 1 } })
    expect([event, code]).toEqual([event, 'out-of-scope'])
  }
  const batch = { measurements: [], dropped: 0 }
  const telemetry = await ask('post', '/v1/sdk/instances/i-2/telemetry?incarnation=i-2-1', batch, token)
  expect(telemetry.body.code).toBe('unknown-instance')
  expect(await told()).toEqual([0])
})

test('what an instance that polls has measured is believed about no migration that its token is not for', async () => {
  const token = await api.token('sdk', { migrations: ['mine'] })
  expect((await ask('post', '/v1/sdk/register', registrationOf('i-1', 'mine'), token)).status).toBe(200)
  const of = (migration: string) => ({
    ...{ migration, epoch: 1, path: 'new', operation: 'read', count: 9, errors: { XX000: 9 }, latency: [] },
    ...{ mismatches: 0, compared: 0, secondaryFailures: 0 },
  })
  const batch = { measurements: [of('mine'), of('theirs')], dropped: 0 }
  const path = '/v1/sdk/instances/i-1/telemetry?incarnation=i-1-1'
  expect((await ask('post', path, batch, token)).status).toBe(204)
  const { text } = await request(api.app).get('/metrics')
  const told = [...text.matchAll(/^switchback_sdk_operations\S*\{migration="(\w+)"/gm)].map(([, id]) => id)
  expect(new Set(told)).toEqual(new Set(['mine']))
})
