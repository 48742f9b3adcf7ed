import { testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registrationOf, testApi } from '../http/test-api.ts'
import type { Role } from '../tokens/permissions.ts'

const store = await testStore()
const api = testApi(store.db)
let viewer = ''
beforeAll(async () => {
  viewer = await api.token('viewer')
  await api.ramped('named', 'apps: [rides-api]\n')
  await api.ramped('declared')
  await api.registered('elsewhere', 'apps: [other-api]\n')
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

const ask = (body: object, token = viewer) =>
  request(api.app).post('/v1/can-i-deploy').set('authorization', `Bearer ${token}`).send(body)
const both = { handlers: ['old', 'new'] as const, fenced: true }
const instance = (id: string, version: string, migrations: object) => ({
  ...registrationOf(id, 'declared'),
  version,
  migrations: migrations as ReturnType<typeof registrationOf>['migrations'],
})
const codes = (body: { migrations: { id: string; findings: { code: string }[] }[] }) =>
  Object.fromEntries(body.migrations.map(({ id, findings }) => [id, findings.map(({ code }) => code)]))

describe('by a manifest', () => {
  test('a version with all handlers may be deployed; migrations of others are not spoken of', async () => {
    const { body } = await ask({ app: 'rides-api', version: '2', migrations: { named: both } }).expect(200)
    expect(body).toMatchObject({ verdict: 'yes', handlersFrom: 'request', findings: [] })
    expect(body.migrations).toMatchObject([
      { id: 'named', phase: 'ramp', needs: ['old', 'new'], missing: [], back: [{ to: 'dual-write' }, {}] },
    ])
  })

  test.each(['viewer', 'operator', 'approver', 'admin', 'sdk'] as const)('%s may ask', async (role: Role) => {
    await ask({ app: 'a', version: '1', migrations: {} }, await api.token(role)).expect(200)
  })

  test('alerting systems may not, and bad manifests are refused with their place', async () => {
    await ask({ app: 'a', version: '1' }, await api.token('alert')).expect(403)
    const migrations = { named: { handlers: ['old', 'new'], read: ['old'] } }
    const { body } = await ask({ app: 'a', version: '1', migrations }).expect(400)
    expect(body.problems).toMatchObject([{ path: 'body.migrations.named.read' }])
    await ask({ app: 'a\u0000', version: '1' }).expect(400)
  })

  test('a token for certain migrations hears of those alone', async () => {
    const scoped = await api.token('sdk', { migrations: ['declared'] })
    const { body } = await ask({ app: 'rides-api', version: '2', migrations: { declared: both } }, scoped)
    expect(body.migrations).toMatchObject([{ id: 'declared', verdict: 'yes' }])
  })
})

describe('by what instances have told', () => {
  test('a version is known after its instances are gone, also where they were refused', async () => {
    const nothing = await ask({ app: 'rides-api', version: '1.0.0' })
    expect(nothing.body).toMatchObject({
      verdict: 'unknown',
      handlersFrom: 'nowhere',
      findings: [{ code: 'version-unknown' }],
    })

    // Declared one after the other, as the SDK does.
    await api.fleet.register(instance('i-1', '1.0.0', { named: both }))
    expect(await api.fleet.register(instance('i-1', '1.0.0', { named: both, declared: both }))).toMatchObject(
      { ok: true },
    )
    await api.fleet.goodbye('i-1', 'i-1-1', { revision: 0, positions: {} })
    const known = await ask({ app: 'rides-api', version: '1.0.0' })
    expect(known.body).toMatchObject({ verdict: 'yes', handlersFrom: 'registration' })
    expect(known.body.lastSeen).toBeGreaterThan(Date.now() - 60_000)
    expect(codes(known.body)).toEqual({ named: [], declared: [] })

    const old = { named: { handlers: ['old'], fenced: true } }
    expect(await api.fleet.register(instance('i-2', '0.9.0', old))).toMatchObject({
      ok: false,
      error: { code: 'missing-handlers' },
    })
    const refused = await ask({ app: 'rides-api', version: '0.9.0' })
    expect(refused.body).toMatchObject({ verdict: 'no', handlersFrom: 'registration' })
    expect(codes(refused.body)).toEqual({ named: ['refused-now'], declared: ['not-declared'] })
    const [named] = refused.body.migrations.filter(({ id }: { id: string }) => id === 'named')
    expect(named.findings[0].message).toMatch(
      /^named is at ramp, which needs handlers for new; rides-api 0\.9\.0 has old\./,
    )
  })

  test('what is told later counts, and what was declared before stays', async () => {
    const unfenced = { named: { handlers: ['old', 'new'], fenced: false } }
    await api.fleet.register(instance('i-5', '1.0.0', {}))
    await api.fleet.register(instance('i-5', '1.0.0', unfenced))
    const { body } = await ask({ app: 'rides-api', version: '1.0.0' })
    expect(codes(body)).toEqual({ named: ['not-fenced'], declared: [] })
  })

  test('a manifest counts for more than what was told', async () => {
    const { body } = await ask({
      app: 'rides-api',
      version: '0.9.0',
      migrations: { named: both, declared: both },
    })
    expect(body).toMatchObject({ verdict: 'yes', handlersFrom: 'request' })
  })

  test('versions that nobody has started for 400 days are forgotten when a new one comes', async () => {
    const kept = async () =>
      (
        await store.db.query(`select version from app_versions where app = 'rides-api' order by version`)
      ).rows.map(({ version }) => version)
    await api.fleet.register(instance('i-3', '1.1.0', { named: both, declared: both }))
    await store.db.query(
      `update app_versions set last_seen = now() - interval '401 days' where version in ('0.9.0', '1.1.0')`,
    )
    await api.fleet.register(instance('i-4', '1.2.0', { named: both, declared: both }))
    // 1.1.0 is on the books.
    expect(await kept()).toEqual(['1.0.0', '1.1.0', '1.2.0'])
  })
})
