import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { waitFor } from '@switchback/test/support'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { testApi } from '../http/test-api.ts'
import { SOURCE_KINDS } from '../receivers/receivers.ts'
import { type DeliveryOptions, deliver, type TestDelivery } from './deliveries-for-tests.ts'
import { GIVEN, type HooksWorld, hooksWorld } from './hooks-for-tests.ts'

let world: HooksWorld

beforeAll(async () => {
  world = await hooksWorld()
})
afterAll(() => world.stop())

describe.each(SOURCE_KINDS)('%s', (kind) => {
  let name: string
  let secret: string
  let migration: string
  let at: number
  const made = (options: Partial<DeliveryOptions> = {}): TestDelivery =>
    deliver(kind, { secret, at, labels: { migration }, id: `id-${name}`, ...options })

  beforeEach(async () => {
    ;({ name, secret } = await world.source(kind))
    migration = `m-${name}`
    await world.api.ramped(migration)
    at = world.api.now()
  })

  test('a proven alert reverts; the same again is a duplicate, and resolved undoes nothing', async () => {
    const answer = await world.post(name, made())
    expect(answer).toMatchObject({ status: 202, body: { accepted: [{ duplicate: false }] } })
    const [outcome] = await world.outcomes(answer)
    expect(outcome).toMatchObject({ action: 'revert', migration, signal: { source: kind } })
    const state = async () => (await world.api.phases.get(migration))?.state
    const reverted = await state()
    expect(reverted?.phase).toBe('dual-write')
    expect((await world.post(name, made())).body.accepted).toEqual([{ id: outcome.id, duplicate: true }])
    if (kind !== 'plain') {
      const resolved = await world.outcomes(
        await world.post(name, made({ status: 'resolved', id: `r-${name}` })),
      )
      expect(resolved).toMatchObject([{ action: 'none', reason: 'resolved' }])
    }
    expect(await state()).toEqual(reverted)
  })

  test('a wrong proof is refused, and nothing is kept', async () => {
    const before = (await world.call('GET', '/v1/alerts?limit=1000')).body.alerts.length
    // Of the right form, so that it is refused for what it is.
    const wrong = kind === 'standard-webhooks' ? `whsec_${'A'.repeat(43)}=` : `sbh_${'A'.repeat(43)}`
    const { body, headers } = made()
    const attempts: TestDelivery[] = [
      ...(kind === 'cloudwatch'
        ? []
        : [{ body, headers: { 'content-type': 'application/json' } }, made({ secret: wrong })]),
      // What was signed is not what is sent; a bearer says nothing of the body.
      ...(secret === '' || headers.authorization === undefined
        ? [{ body: body.replace(migration, 'm-x'), headers }]
        : []),
    ]
    for (const attempt of attempts) expect((await world.post(name, attempt)).status).toBe(401)
    expect((await world.post('no-such-source', made())).status).toBe(401)
    await world.api.inbox.process()
    expect((await world.call('GET', '/v1/alerts?limit=1000')).body.alerts).toHaveLength(before)
    expect((await world.api.phases.get(migration))?.state.phase).toBe('ramp')
  })

  test('a revoked source delivers no more', async () => {
    expect((await world.call('DELETE', `/v1/alert-sources/${name}`)).status).toBe(200)
    expect((await world.post(name, made())).status).toBe(401)
  })

  test.skipIf(kind === 'cloudwatch')('two secrets are good at once, and the older can be ended', async () => {
    const given = GIVEN[kind] === undefined ? {} : { secret: 'the-next-secret-of-this-system' }
    const added = await world.call('POST', `/v1/alert-sources/${name}/secrets`, given)
    expect(added.status).toBe(201)
    const next = added.body.secret ?? 'the-next-secret-of-this-system'
    expect((await world.post(name, made({ id: 'old' }))).status).toBe(202)
    expect((await world.post(name, made({ id: 'new', secret: next }))).status).toBe(202)
    const [, older] = added.body.secrets
    await world.call('DELETE', `/v1/alert-sources/${name}/secrets/${older.id}`)
    expect((await world.post(name, made({ id: 'old again' }))).status).toBe(401)
    expect((await world.post(name, made({ id: 'new again', secret: next }))).status).toBe(202)
    // A third drops the oldest: never more than two.
    await world.call('POST', `/v1/alert-sources/${name}/secrets`, given)
    const last = await world.call('POST', `/v1/alert-sources/${name}/secrets`, given)
    expect(last.body.secrets).toHaveLength(2)
  })

  test.skipIf(!['grafana', 'sentry', 'standard-webhooks', 'cloudwatch'].includes(kind))(
    'a delivery that was signed long ago is refused',
    async () => {
      expect((await world.post(name, made({ signedAt: at - 2 * 3_600_000 }))).status).toBe(401)
      expect((await world.post(name, made({ signedAt: at + 2 * 3_600_000 }))).status).toBe(401)
    },
  )

  test('a source that is for other migrations reverts nothing', async () => {
    const other = await world.source(kind, { migrations: ['something-else', 'another'] })
    const [outcome] = await world.outcomes(await world.post(other.name, made({ secret: other.secret })))
    expect(outcome).toMatchObject({ action: 'none', reason: 'refused' })
    expect((await world.api.phases.get(migration))?.state.phase).toBe('ramp')
  })

  test('what cannot be read is kept, told, and replayed', async () => {
    const answer = await world.post(name, made({ change: () => ({ surprise: true }) }))
    expect(answer).toMatchObject({ status: 422, body: { code: 'unreadable-alert' } })
    const dead = (await world.call('GET', '/v1/alerts?status=dead')).body.alerts
    expect(dead[0]).toMatchObject({ status: 'dead', error: expect.any(String) })
    expect((await world.call('POST', `/v1/alerts/${dead[0].id}/replay`, {})).status).toBe(422)
  })
})

test('an unreadable delivery that is mended reverts by its replay', async () => {
  await world.api.ramped('mended')
  const { name, secret } = await world.source('datadog')
  const { body, headers } = deliver('datadog', {
    secret,
    at: world.api.now(),
    labels: { migration: 'mended' },
  })
  // A template that lacks one of its lines.
  expect((await world.post(name, { body: body.replace('"transition"', '"transit"'), headers })).status).toBe(
    422,
  )
  const [dead] = (await world.call('GET', '/v1/alerts?status=dead')).body.alerts
  await world.store.db.query('update alerts set raw = $2 where id = $1', [dead.id, Buffer.from(body)])
  const replayed = await world.call('POST', `/v1/alerts/${dead.id}/replay`, {})
  expect(replayed.status).toBe(200)
  expect(await world.outcomes(replayed)).toMatchObject([{ action: 'revert', migration: 'mended' }])
  expect((await world.call('GET', `/v1/alerts/${dead.id}`)).body).toMatchObject({
    status: 'decided',
    action: 'none',
  })
  expect((await world.call('POST', `/v1/alerts/${dead.id}/replay`, {})).status).toBe(409)
})

test('secrets are shown once, kept sealed or hashed, and never logged', async () => {
  const made: string[] = []
  for (const kind of SOURCE_KINDS) made.push((await world.source(kind)).secret)
  const shown = JSON.stringify((await world.call('GET', '/v1/alert-sources')).body)
  const { rows } = await world.store.db.query('select * from alert_source_secrets')
  const audit = JSON.stringify((await world.call('GET', '/v1/events?limit=1000')).body)
  const all = [shown, JSON.stringify(rows), audit, world.api.logged.join('')].join('')
  for (const secret of made.filter((each) => each !== '')) expect(all).not.toContain(secret)
})

test('a server with another key answers 503, and nothing is refused for good', async () => {
  const { name, secret } = await world.source('grafana')
  const other = testApi(world.store.db, { secretKey: 'another key, of another server' })
  const there = createServer(other.app).listen(0, '127.0.0.1')
  await new Promise((resolve) => there.once('listening', resolve))
  const { body, headers } = deliver('grafana', { secret })
  const address = `http://127.0.0.1:${(there.address() as AddressInfo).port}/v1/hooks/${name}`
  const response = await fetch(address, { method: 'POST', headers, body })
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '30'])
  await new Promise((resolve) => there.close(resolve))
  await other.stop()
})

test('more deliveries than can be kept are answered 503 with a time, never 429, and come through later', async () => {
  const { name, secret } = await world.source('plain')
  const at = world.api.now()
  const one = (n: number) => {
    const { body, headers } = deliver('plain', { secret, at, id: `s-${n}`, labels: { migration: 'nowhere' } })
    return fetch(`${world.url}/v1/hooks/${name}`, { method: 'POST', headers, body })
  }
  const refused: number[] = []
  let sent: Promise<void>[] = []
  await world.store.db.tx(async (tx) => {
    await tx.query('lock table alerts in exclusive mode')
    sent = Array.from({ length: 150 }, async (_, n) => {
      const response = await one(n)
      if (response.status === 202) return
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2'])
      refused.push(n)
    })
    await waitFor(() => refused.length > 0)
  })
  await Promise.all(sent)
  for (const n of refused) expect((await one(n)).status).toBe(202)
  const { rows } = await world.store.db.query(`select count(*) from alerts where dedup_key like '%id:s-%'`)
  expect(rows[0]?.count).toBe(150)
})

test('an alert that keeps failing is given up in the end, told, and decided by its replay', async () => {
  await world.api.ramped('cursed')
  let broken = true
  const dead: string[] = []
  const failing = testApi(world.store.open(), {
    onDead: (alert) => dead.push(alert),
    wrapPhases: (phases) => ({
      ...phases,
      get: (id) => (id === 'cursed' && broken ? Promise.reject(new Error('unreadable')) : phases.get(id)),
    }),
  })
  const { name, secret } = await world.source('plain')
  // Nobody else takes it up meanwhile.
  await world.api.inbox.stop()
  const { body } = await world.post(
    name,
    deliver('plain', { secret, at: world.api.now(), labels: { migration: 'cursed' } }),
  )
  const id = body.accepted[0].id
  for (let look = 0; look < 14; look++) {
    await failing.inbox.process()
    failing.passTime(130_000)
  }
  expect(dead).toEqual([id])
  expect((await world.call('GET', `/v1/alerts/${id}`)).body).toMatchObject({
    status: 'dead',
    error: 'unreadable',
  })
  broken = false
  expect((await world.call('POST', `/v1/alerts/${id}/replay`, {})).status).toBe(200)
  await failing.inbox.process()
  expect((await world.call('GET', `/v1/alerts/${id}`)).body).toMatchObject({
    status: 'decided',
    action: 'revert',
  })
  await failing.stop()
})
