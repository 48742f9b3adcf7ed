import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tokenOf } from '../e2e/service.ts'
import { openWorld, type World } from './world.ts'

/** Scenarios that an alert begins: what is done about it, and why, on record. */
let world: World
beforeAll(async () => {
  world = await openWorld()
}, 120_000)
afterAll(() => world.close())

interface AlertView {
  readonly status: string
  readonly action: string
  readonly reason: string
  readonly explanation: string
  readonly incident?: string
  readonly migration?: string
}
const plain = (migration: string, more: object = {}) => ({
  migration,
  errorRate: 0.5,
  samples: 5000,
  window: '1m',
  ...more,
})
const alertOf = async (id: string): Promise<AlertView> =>
  (await world.service.call<AlertView>('GET', `/v1/alerts/${id}`)).body
async function deliver(body: object, path = '/v1/alerts'): Promise<AlertView> {
  const { status, body: answer } = await world.service.call<{ accepted: { id: string }[] }>(
    'POST',
    path,
    body,
  )
  expect(status).toBe(202)
  const id = answer.accepted[0]?.id ?? ''
  await world.until('the decision', async () => (await alertOf(id)).status === 'decided')
  return await alertOf(id)
}
const stateOf = async (id: string) => (await world.view(id)).state
const firing = (labels: object) => ({
  version: '4',
  status: 'firing',
  receiver: 'switchback',
  alerts: [
    {
      status: 'firing',
      labels: { alertname: 'SlowTable', ...labels },
      annotations: {},
      startsAt: new Date().toISOString(),
      endsAt: '0001-01-01T00:00:00Z',
      fingerprint: 'f1',
    },
  ],
})

// First: nothing else is exposed on the table yet.
it('two migrations on one table: an alert that names neither pauses both and reverts the later one', async () => {
  await world.register('earlier')
  await world.register('later')
  await world.advanceTo('earlier', 'ramp')
  await world.advanceTo('later', 'ramp')
  const alert = await deliver(firing({ table: 'users' }), '/v1/alerts/alertmanager')
  expect(alert).toMatchObject({ action: 'revert', migration: 'later' })
  expect(alert.explanation).toContain('later was changed last and is reverted; this one is paused')
  expect(await stateOf('later')).toMatchObject({
    phase: 'dual-write',
    paused: true,
    latch: expect.anything(),
  })
  const earlier = await stateOf('earlier')
  expect(earlier).toMatchObject({ phase: 'ramp', paused: true })
  expect(earlier.latch).toBeUndefined()
  // It goes on firing: whose doing it was is for a person to find out.
  await world.service.call('POST', '/v1/migrations/earlier/resume', {})
  const more = firing({ table: 'users', instance: 'b' })
  more.alerts[0] = { ...(more.alerts[0] as (typeof more.alerts)[number]), fingerprint: 'f2' }
  expect((await deliver(more, '/v1/alerts/alertmanager')).explanation).toContain(
    'one of them was reverted already',
  )
  expect((await stateOf('earlier')).phase).toBe('ramp')
})

it('a late alert from an older epoch does nothing, and the record says which epoch it spoke of', async () => {
  await world.register('late')
  await world.advanceTo('late', 'ramp')
  const { epoch } = await stateOf('late')
  expect(await deliver(plain('late', { epoch: 2 }))).toMatchObject({
    action: 'none',
    reason: 'stale',
    explanation: expect.stringContaining('Speaks of epoch 2'),
  })
  expect(await stateOf('late')).toMatchObject({ phase: 'ramp', epoch })
})

it('revert of a revert: an alert about what is reverted already does nothing; after a re-arm the next one acts anew', async () => {
  await world.register('again')
  await world.advanceTo('again', 'ramp')
  const first = await deliver(plain('again'))
  expect(first).toMatchObject({ action: 'revert' })
  const { epoch } = await stateOf('again')
  expect(await deliver(plain('again'))).toMatchObject({
    action: 'none',
    reason: 'latched',
    explanation: expect.stringContaining('Latched since'),
  })
  expect((await stateOf('again')).epoch).toBe(epoch)
  await world.service.call('POST', '/v1/migrations/again/rearm', { reason: 'fixed' })
  expect((await stateOf('again')).latch).toBeUndefined()
  expect(await deliver(plain('again'))).toMatchObject({ action: 'revert' })
  expect(await stateOf('again')).toMatchObject({ phase: 'expanded', epoch: epoch + 1 })
  expect((await world.incidents('again')).map(({ from }) => from.phase)).toEqual(['dual-write', 'ramp'])
})

it('during retired: refused with the safe way named, one incident however often, and a person is called', async () => {
  await world.register('gone')
  await world.advanceTo('gone', 'retired')
  const { epoch } = await stateOf('gone')
  const first = await deliver(plain('gone'))
  expect(first).toMatchObject({
    action: 'none',
    reason: 'refused',
    explanation: expect.stringContaining('Revert by hand to promoted'),
  })
  expect((await deliver(plain('gone'))).incident).toBe(first.incident)
  const incidents = await world.incidents('gone')
  expect(incidents).toMatchObject([
    { id: first.incident, kind: 'refused', status: 'open', from: { phase: 'retired', epoch }, to: { epoch } },
  ])
  const refused = incidents[0]?.timeline.find(({ kind }) => kind === 'revert-refused')
  expect(refused).toMatchObject({
    message: expect.stringContaining('The safe way: Revert by hand to promoted'),
    detail: { page: true, code: 'old-incomplete' },
  })
  const { body } = await world.service.call<{ events: { kind: string }[] }>('GET', '/v1/events?subject=gone')
  expect(body.events.filter(({ kind }) => kind === 'revert.refused')).toHaveLength(1)
  // The way that it names is open.
  const byHand = await world.service.call('POST', '/v1/migrations/gone/revert', { reason: 'told so' })
  expect(byHand.status).toBe(200)
  expect(await stateOf('gone')).toMatchObject({ phase: 'promoted' })
})

it('during DDL: the statement that waits for its lock is called off, what it did is rolled back, nobody waits behind it', async () => {
  const blocker = new pg.Client({ connectionString: world.target.url })
  await blocker.connect()
  world.onClose(() => blocker.end())
  await blocker.query('begin; lock table users in access share mode')
  await world.register('ddl', '', {
    expand: 'create table ddl (id text primary key, bio text);\nalter table users add column extra text;',
    rollback: 'drop table if exists ddl;',
  })
  await world.service.call('POST', '/v1/migrations/ddl/advance', {})
  await world.until('the DDL to begin', async () => (await stateOf('ddl')).work?.status === 'running')
  expect(await deliver(plain('ddl', { path: 'new' }))).toMatchObject({ action: 'revert' })
  await world.until('the rollback', async () => {
    const { work } = await stateOf('ddl')
    return work === undefined || (work.kind === 'rollback' && work.status === 'done')
  })
  expect(await stateOf('ddl')).toMatchObject({ phase: 'planned', latch: expect.anything() })
  const { rows } = await world.target.pool.query(
    `select to_regclass('ddl') is null as gone, (select count(*)::int from pg_locks where not granted) as waiting`,
  )
  expect(rows).toEqual([{ gone: true, waiting: 0 }])
  await blocker.query('commit')
})

it('during a backfill: copying stops, and nothing of it is left running', async () => {
  await world.target.pool.query(
    `insert into users select 'more' || i, 'bio' from generate_series(1, 20000) i`,
  )
  const table = 'copying'
  const answer = await world.service.call('POST', '/v1/migrations', {
    yaml: `id: copying\ntitle: t\ncopy:\n  from: users\n  to: ${table}\n  key: { id: id }\n  columns: { bio: bio }\n  throttle: { rowsPerSecond: 1000 }\n  chunk: { min: 100, max: 100 }\n`,
    sql: {
      expand: `create table ${table} (id text primary key, bio text);`,
      rollback: `drop table ${table};`,
    },
  })
  expect(answer).toMatchObject({ status: 201 })
  await world.advanceTo(table, 'dual-write')
  await world.until('the backfill to begin', async () => {
    await world.service.call('POST', `/v1/migrations/${table}/advance`, {})
    return (await stateOf(table)).phase === 'backfill'
  })
  const copied = async () =>
    (await world.target.pool.query<{ n: number }>(`select count(*)::int as n from ${table}`)).rows[0]?.n ?? 0
  await world.until('rows to be copied', copied)
  expect(await deliver(plain(table))).toMatchObject({ action: 'revert' })
  expect((await stateOf(table)).phase).toBe('dual-write')
  await world.until('the work to be over', async () => {
    const { rows } = await world.target.pool.query(
      `select from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())`,
    )
    return rows.length === 0
  })
  const left = await copied()
  expect(left).toBeLessThan(20_500)
  expect((await stateOf(table)).work).toBeUndefined()
})

it('an alert storm of 10,000 within 10 s: one revert, and every alert is kept with its decision', async () => {
  await world.register('storm')
  await world.advanceTo('storm', 'ramp')
  const { epoch } = await stateOf('storm')
  const token = await tokenOf(world.service, 'alert')
  const ALERTS = 10_000
  // As a system sends them that groups what fires together.
  const TOGETHER = 50
  const accepted = new Set<string>()
  let next = 0
  const send = async (): Promise<void> => {
    while (next < ALERTS) {
      const { alerts: template } = firing({ migration: 'storm' })
      const first = next
      next += TOGETHER
      const alerts = Array.from({ length: TOGETHER }, (_, i) => ({
        ...template[0],
        fingerprint: `f${first + i}`,
      }))
      for (;;) {
        const { status, body } = await world.service.call<{ accepted: { id: string }[] }>(
          'POST',
          '/v1/alerts/alertmanager',
          { ...firing({}), alerts },
          token,
        )
        // Overload is answered 503, and a sender that hears it tries again.
        if (status === 503) continue
        expect(status).toBe(202)
        for (const { id } of body.accepted) accepted.add(id)
        break
      }
    }
  }
  await Promise.all(Array.from({ length: 10 }, send))
  expect(accepted.size).toBe(ALERTS)
  await world.until('the storm to be decided', async () => {
    const { rows } = await world.store.pool.query(
      `select from switchback_store.alerts where status = 'received' limit 1`,
    )
    return rows.length === 0
  })
  const { rows } = await world.store.pool.query(
    `select action, reason, count(*)::int as count from switchback_store.alerts where migration = 'storm' group by 1, 2 order by 3`,
  )
  expect(rows).toEqual([
    { action: 'revert', reason: 'alert-matched', count: 1 },
    { action: 'none', reason: 'latched', count: ALERTS - 1 },
  ])
  expect(await world.incidents('storm')).toHaveLength(1)
  expect((await stateOf('storm')).epoch).toBe(epoch + 1)
}, 180_000)

// Last: the server of all the others is gone after it.
it('a server that is killed between decision and push: whoever comes next pushes, and the record is whole', async () => {
  await world.register('killed')
  const application = await world.application('killed', { perSecond: 50 })
  await world.advanceTo('killed', 'ramp')
  const { epoch } = await stateOf('killed')
  // What has changed is read from this table too before it is pushed: until then nothing is sent.
  const store = new pg.Client({ connectionString: world.store.url })
  await store.connect()
  world.onClose(() => store.end())
  await store.query('begin; lock table switchback_store.removals in access exclusive mode')
  await world.service.call('POST', '/v1/alerts', plain('killed'))
  await world.until('the decision to be committed', async () => {
    const { rows } = await store.query<{ phase: string }>(
      `select state ->> 'phase' as phase from switchback_store.migrations where id = 'killed'`,
    )
    return rows[0]?.phase === 'dual-write'
  })
  const { process, port } = world.service
  await process.kill('SIGKILL')
  await store.query('rollback')
  expect(application.client.status().positions.killed?.applied).toBe(epoch)
  await world.restart(port)
  await world.until('the push', () => application.client.status().positions.killed?.applied === epoch + 1)
  await world.until('the last ack', async () => (await world.incidents('killed'))[0]?.lastAckAt)
  const incidents = await world.incidents('killed')
  expect(incidents).toMatchObject([
    { kind: 'revert', from: { epoch }, to: { phase: 'dual-write', epoch: epoch + 1 } },
  ])
  await world.until('the alert to be settled', async () =>
    incidents[0] === undefined
      ? false
      : (await world.incidents('killed'))[0]?.timeline.some(({ kind }) => kind === 'decided'),
  )
})
