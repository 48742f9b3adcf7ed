import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestApi } from '../http/test-api.ts'
import { testApi, yamlOf } from '../http/test-api.ts'

let store: TestStore
let api: TestApi
let operator: string
let sdk: string
const send = (method: 'get' | 'post' | 'put' | 'delete', path: string, token = operator) =>
  request(api.app)[method](path).set('Authorization', `Bearer ${token}`)
const ofrep = (key = '') => send('post', `/ofrep/v1/evaluate/flags${key === '' ? '' : `/${key}`}`, sdk)
const newKey = { key: 'new-checkout', rules: [{ share: '50%', variant: 'on' }], defaultVariant: 'off' }

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db)
  operator = await api.token('operator')
  sdk = await api.token('sdk')
  await api.ramped(
    'profiles',
    'flags: { alias: use_new_profiles }\nrollout: [{ share: 50% }, { share: 100% }]\n',
  )
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

test('a flag is made, read, replaced and removed; each with an event and a new revision', async () => {
  const made = await send('post', '/v1/flags').send(newKey).expect(201)
  expect(made.body).toMatchObject({
    key: 'new-checkout',
    enabled: true,
    rules: [{ share: 0.5, variant: 'on' }],
  })
  const again = await send('post', '/v1/flags').send(newKey)
  expect([again.status, again.body.code]).toEqual([409, 'flag-exists'])
  const other = await send('put', '/v1/flags/other').send(newKey)
  expect([other.status, other.body.problems[0].path]).toEqual([400, 'body.key'])
  const off = await send('put', '/v1/flags/new-checkout')
    .send({ ...newKey, enabled: false })
    .expect(200)
  expect(off.body.enabled).toBe(false)
  expect(off.body.revision).toBeGreaterThan(made.body.revision)
  await send('delete', '/v1/flags/new-checkout').expect(204)
  await send('delete', '/v1/flags/new-checkout').expect(404)
  await send('get', '/v1/flags/new-checkout').expect(404)
  const { rows } = await store.db.query(`select key from removals where kind = 'flag'`)
  expect(rows).toEqual([{ key: 'new-checkout' }])
  await send('post', '/v1/flags').send(newKey).expect(201)
  expect((await store.db.query(`select from removals where kind = 'flag'`)).rowCount).toBe(0)
  const kinds = await store.db.query<{ kind: string }>(
    `select kind from audit_events where subject = 'new-checkout' order by revision`,
  )
  expect(kinds.rows.map((row) => row.kind)).toEqual([
    'flag.created',
    'flag.replaced',
    'flag.removed',
    'flag.created',
  ])
})

test('a flag that names a variant it has not is refused with the place', async () => {
  const { status, body } = await send('post', '/v1/flags').send({ key: 'x', defaultVariant: 'blue' })
  expect([status, body.problems[0].path]).toEqual([400, 'body.defaultVariant'])
})

test.each(['profiles.read', 'profiles.write', 'profiles.backfill', 'use_new_profiles'])(
  'a flag cannot take the key %s of a migration',
  async (key) => {
    const { status, body } = await send('post', '/v1/flags').send({ key })
    expect([status, body.code]).toEqual([409, 'key-reserved'])
  },
)

test('a migration cannot take the key of a flag for its alias', async () => {
  await send('post', '/v1/flags').send({ key: 'taken' }).expect(201)
  const yaml = yamlOf('alias-test', 'flags: { alias: taken }\n')
  const { status, body } = await send('post', '/v1/migrations').send({ yaml, sql: { expand: 'select 1' } })
  expect([status, body.code]).toEqual([409, 'alias-taken'])
})

test('flags are evaluated with value, variant and reason; those of migrations too', async () => {
  const evaluate = async (key: string, context: object = {}) =>
    (await send('post', `/v1/flags/${key}/evaluate`, sdk).send({ context })).body
  expect(await evaluate('taken')).toEqual({ key: 'taken', value: true, variant: 'on', reason: 'STATIC' })
  expect(await evaluate('profiles.write')).toMatchObject({ value: 'dual-old', reason: 'STATIC' })
  expect(await evaluate('profiles.read')).toMatchObject({
    reason: 'ERROR',
    errorCode: 'TARGETING_KEY_MISSING',
  })
  expect(await evaluate('profiles.read', { targetingKey: 'u1' })).toMatchObject({ reason: 'SPLIT' })
  expect(await evaluate('nothing')).toMatchObject({ status: 404, code: 'unknown-flag' })
})

test('a flag tied to a phase goes off by itself when the migration reverts', async () => {
  await api.ramped('tied')
  const requires = { migration: 'tied', phase: 'ramp' }
  await send('post', '/v1/flags').send({ key: 'needs-schema', requires }).expect(201)
  const value = async () => (await ofrep('needs-schema').send({})).body
  expect(await value()).toMatchObject({ value: true })
  await send('post', '/v1/migrations/tied/revert').send({ reason: 'no' }).expect(200)
  expect(await value()).toMatchObject({ value: false, reason: 'DISABLED' })
})

test('OFREP: success, 404, 400 by its own codes, and problems of tokens as they are', async () => {
  const good = await ofrep('use_new_profiles').send({
    context: { targetingKey: 'u1', plan: 'gold' },
    later: 1,
  })
  expect(good.status).toBe(200)
  expect(good.body).toMatchObject({
    key: 'use_new_profiles',
    reason: 'SPLIT',
    value: expect.any(Boolean),
    metadata: { migration: 'profiles', phase: 'ramp' },
  })
  const missing = await ofrep('nothing').send({})
  expect([missing.status, missing.body]).toEqual([
    404,
    { key: 'nothing', errorCode: 'FLAG_NOT_FOUND', errorDetails: expect.any(String) },
  ])
  const keyless = await ofrep('profiles.read').send({ context: {} })
  expect([keyless.status, keyless.body.errorCode]).toEqual([400, 'TARGETING_KEY_MISSING'])
  const invalid = await ofrep('taken').send({ context: { targetingKey: 7 } })
  expect([invalid.status, invalid.body.key, invalid.body.errorCode]).toEqual([
    400,
    'taken',
    'INVALID_CONTEXT',
  ])
  const broken = await ofrep('taken').set('Content-Type', 'application/json').send('{')
  expect([broken.status, broken.body.errorCode]).toEqual([400, 'PARSE_ERROR'])
  await request(api.app).post('/ofrep/v1/evaluate/flags/taken').send({}).expect(401)
})

test('OFREP in bulk answers 304 until something this context sees has changed', async () => {
  const context = { targetingKey: 'u1' }
  const first = await ofrep().send({ context }).expect(200)
  const keys = first.body.flags.map((flag: { key: string }) => flag.key)
  expect(keys).toEqual(
    expect.arrayContaining(['taken', 'profiles.read', 'profiles.write', 'use_new_profiles']),
  )
  const { etag } = first.headers
  const same = await ofrep()
    .set('If-None-Match', etag ?? '')
    .send({ context })
  expect([same.status, same.text]).toEqual([304, ''])
  await ofrep().set('If-None-Match', `"x", W/${etag}`).send({ context }).expect(304)
  await send('put', '/v1/flags/taken').send({ key: 'taken', enabled: false }).expect(200)
  const changed = await ofrep()
    .set('If-None-Match', etag ?? '')
    .send({ context })
    .expect(200)
  expect(changed.headers.etag).not.toBe(etag)
})

test('the snapshot answers 304 until something has changed, and shows a scoped token its migrations only', async () => {
  const first = await send('get', '/v1/snapshot', sdk).expect(200)
  expect(first.body.migrations.map((m: { id: string }) => m.id)).toEqual(['profiles', 'tied'])
  const poll = () => send('get', '/v1/snapshot', sdk).set('If-None-Match', first.headers.etag ?? '')
  await poll().expect(304)
  const scoped = await api.token('sdk', { migrations: ['tied'] })
  // A token is a revision of the audit log, and none that instances are told of.
  await poll().expect(304)
  const own = await send('get', '/v1/snapshot', scoped).expect(200)
  expect(own.body.migrations.map((m: { id: string }) => m.id)).toEqual(['tied'])
  await send('put', '/v1/flags/taken').send({ key: 'taken' }).expect(200)
  await poll().expect(200)
})
