import {
  definitionSchema,
  initialState,
  type MigrationState,
  type Registration,
} from '@switchback/migrations-registry'
import { testStore, waitFor } from '@switchback/test/support'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { Db } from '../db/db.ts'
import { createFleet } from './fleet.ts'
import type { Fleet } from './fleet-port.ts'

const store = await testStore()
const { db } = store
const fleets: Fleet[] = []
afterAll(async () => {
  await Promise.all(fleets.map((fleet) => fleet.stop()))
  await store.drop()
})

const log = { warn: (detail: object, message: string) => console.warn(message, detail) }
function server(name = 'one', leaseMs = 60_000, on: Db = db): Fleet {
  const fleet = createFleet({ db: on, clock: Date.now, server: name, log, leaseMs, heartbeatMs: 20_000 })
  fleets.push(fleet)
  return fleet
}

beforeEach(async () => {
  await db.query('truncate instances, migrations, audit_events cascade')
})

async function migration(state: Partial<MigrationState> = {}, apps: string[] = []): Promise<void> {
  const definition = definitionSchema.parse({
    id: 'm',
    title: 'M',
    apps,
    copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { c: 'c' } },
  })
  await db.query(
    `insert into migrations values ('m', $1, '', '{}', '', $2, 1, now(), now())
     on conflict (id) do update set definition = excluded.definition, state = excluded.state`,
    [definition, { ...initialState('m', 0), ...state }],
  )
}

const registration = (given: Partial<Registration> = {}): Registration => ({
  protocol: 1,
  instance: 'i-1',
  incarnation: 'first',
  app: 'rides-api',
  version: '1.0.0',
  onLeaseExpired: 'hold',
  migrations: { m: { handlers: ['old', 'new'], fenced: true } },
  positions: {},
  ...given,
})

const beat = (applied: number, drained = applied, kind?: string) => ({
  revision: 1,
  positions: { m: { applied, drained, ...(kind === undefined ? {} : { oldest: { kind, ageMs: 5 } }) } },
})

const facts = () => db.tx((tx) => server().factsFor(tx, 'm', ['rides-api']))
const lapse = (id = 'i-1') =>
  db.query(`update instances set lease_until = now() - interval '1 s' where id = $1`, [id])

/** Until some statement waits for a lock. */
const lockAwaited = () =>
  waitFor(async () => {
    const { rows } = await db.query(`select from pg_stat_activity
      where wait_event_type = 'Lock' and datname = current_database()`)
    return rows.length > 0
  })

describe('registering', () => {
  test('writes instance and positions down before it answers', async () => {
    await migration({ epoch: 4 })
    const result = await server().register(registration({ positions: { m: { applied: 4, drained: 3 } } }))
    expect(result).toEqual({ ok: true, value: { leaseMs: 60_000, heartbeatMs: 20_000 } })
    expect(await facts()).toMatchObject([
      { id: 'i-1', app: 'rides-api', handlers: ['old', 'new'], fenced: true, applied: 4, drained: 3 },
    ])
  })

  test('a server that is started anew still knows who is out there', async () => {
    await migration()
    await server('one').register(registration())
    expect(await server('two').list({ limit: 10 })).toMatchObject([{ id: 'i-1', server: 'one', live: true }])
  })

  test('the same process reconnecting keeps its positions, which only go up', async () => {
    await migration({ epoch: 9 })
    await server().register(registration({ positions: { m: { applied: 7, drained: 6 } } }))
    await server('two').register(registration({ positions: { m: { applied: 5, drained: 5 } } }))
    expect(await facts()).toMatchObject([{ applied: 7, drained: 6 }])
    await server('two').register(registration({ positions: { m: { applied: 8, drained: 5 } } }))
    expect(await facts()).toMatchObject([{ applied: 8, drained: 6 }])
  })

  test('another process under the same id is refused while the lease lasts, and let in after a goodbye', async () => {
    await migration()
    const fleet = server()
    await fleet.register(registration())
    const second = registration({ incarnation: 'second' })
    expect(await fleet.register(second)).toMatchObject({
      ok: false,
      error: { code: 'instance-taken', retryable: true },
    })
    await fleet.goodbye('i-1', 'first', beat(1))
    expect(await fleet.register(second)).toMatchObject({ ok: true })
    expect(await facts()).toHaveLength(1)
  })

  test('a process that lost its id without a goodbye stays on the books with the positions it had', async () => {
    await migration({ epoch: 9 })
    const fleet = server()
    await fleet.register(registration({ positions: { m: { applied: 5, drained: 4 } } }))
    await lapse()
    await fleet.register(registration({ incarnation: 'second', positions: {} }))
    await fleet.heartbeat('i-1', 'second', beat(9))
    expect(await facts()).toMatchObject([
      { id: 'i-1', applied: 9, drained: 9 },
      { id: 'i-1~previous', applied: 5, drained: 4, onLeaseExpired: 'hold' },
    ])
    // Its beats are not taken for its successor's, and its goodbye is for itself.
    expect(await fleet.heartbeat('i-1', 'first', beat(9))).toMatchObject({
      error: { code: 'unknown-instance' },
    })
    expect(await fleet.goodbye('i-1', 'first', beat(5))).toMatchObject({ ok: true })
    expect((await facts()).map(({ id }) => id)).toEqual(['i-1'])
  })

  test('several processes that died under one id leave one entry, at the least of their positions', async () => {
    await migration({ epoch: 9 })
    const fleet = server()
    for (const [incarnation, drained] of [
      ['first', 6],
      ['second', 3],
      ['third', 8],
      ['fourth', 9],
    ] as const) {
      await fleet.register(registration({ incarnation, positions: { m: { applied: 9, drained } } }))
      if (incarnation !== 'fourth') await lapse()
    }
    expect(await facts()).toMatchObject([
      { id: 'i-1', drained: 9 },
      { id: 'i-1~previous', drained: 3 },
    ])
  })

  test('one that stops at the end of its lease leaves nothing behind when another takes its id', async () => {
    await migration()
    const fleet = server()
    await fleet.register(registration({ onLeaseExpired: 'stop' }))
    await lapse()
    await fleet.register(registration({ incarnation: 'second' }))
    expect((await facts()).map(({ id }) => id)).toEqual(['i-1'])
  })

  test.each([
    ['dual-write', { handlers: ['old'] as const, fenced: true }, 'missing-handlers'],
    ['dual-write', undefined, 'missing-handlers'],
    ['retired', { handlers: ['old'] as const, fenced: true }, 'missing-handlers'],
    ['retired', { handlers: ['new'] as const, fenced: true }, undefined],
    ['planned', { handlers: ['new'] as const, fenced: true }, 'missing-handlers'],
    // A version from before the migration does what old does.
    ['expanded', undefined, undefined],
  ] as const)('in %s an instance that declares %j: %s', async (phase, declared, code) => {
    await migration({ phase }, ['rides-api'])
    const migrations = declared === undefined ? {} : { m: { ...declared, handlers: [...declared.handlers] } }
    const result = await server().register(registration({ migrations }))
    expect(result.ok ? undefined : result.error.code).toBe(code)
  })

  test.each([
    [{ protocol: 2 }, 'protocol'],
    [{ instance: 'a\u0000b' }, 'protocol'],
    [{ instance: 'half \ud800' }, 'protocol'],
    [{ instance: 'i~previous' }, 'protocol'],
    [{ positions: { m: { applied: 2, drained: 2 } } }, 'impossible-position'],
    [{ positions: { m: { applied: 0, drained: 1 } } }, 'impossible-position'],
  ])('%j is refused', async (given, code) => {
    await migration({ epoch: 1 })
    expect(await server().register(registration(given))).toMatchObject({ ok: false, error: { code } })
    expect(await facts()).toEqual([])
  })

  test('a new id that two servers hear of at the same moment goes to one process', async () => {
    await migration()
    const [one, two] = [server('one'), server('two')]
    const results = await Promise.all([
      one.register(registration({ incarnation: 'a' })),
      two.register(registration({ incarnation: 'b' })),
    ])
    expect(results.filter(({ ok }) => ok)).toHaveLength(1)
    expect(results.find(({ ok }) => !ok)).toMatchObject({ error: { code: 'instance-taken' } })
  })

  test('a new id that another server is about to commit is judged again after the commit', async () => {
    await migration()
    let registering: Promise<unknown> | undefined
    await db.tx(async (tx) => {
      await tx.query(
        `insert into instances values ('i-1', 'other', 'a', '1', 's', 'hold', now(), now(), now() + interval '1 h')`,
      )
      registering = server().register(registration())
      await lockAwaited()
    })
    expect(await registering).toMatchObject({ ok: false, error: { code: 'instance-taken' } })
  })

  test('waits for a step of the migration that is being committed, and is judged by what follows', async () => {
    await migration({ phase: 'expanded' })
    let registering: Promise<unknown> | undefined
    await db.tx(async (tx) => {
      await tx.query('select from migrations where id = $1 for update', ['m'])
      registering = server().register(
        registration({ migrations: { m: { handlers: ['old'], fenced: true } } }),
      )
      await lockAwaited()
      await tx.query(`update migrations set state = jsonb_set(state, '{phase}', '"dual-write"')`)
    })
    expect(await registering).toMatchObject({ ok: false, error: { code: 'missing-handlers' } })
  })
})

describe('heartbeats', () => {
  test('raise positions and renew the lease; older and replayed ones change nothing', async () => {
    await migration({ epoch: 9 })
    const fleet = server()
    await fleet.register(registration())
    await lapse()
    await fleet.heartbeat('i-1', 'first', beat(9, 7, 'write'))
    expect(await facts()).toMatchObject([{ applied: 9, drained: 7, oldest: { kind: 'write' } }])
    expect(await fleet.list({ limit: 1 })).toMatchObject([{ live: true }])
    await server('two').heartbeat('i-1', 'first', beat(8, 8, 'read'))
    expect(await facts()).toMatchObject([{ applied: 9, drained: 8, oldest: { kind: 'write' } }])
    await fleet.heartbeat('i-1', 'first', beat(9, 9))
    await fleet.heartbeat('i-1', 'first', beat(3, 3, 'read'))
    const [now] = await facts()
    expect(now).toMatchObject({ applied: 9, drained: 9 })
    expect(now?.oldest).toBeUndefined()
  })

  test('a future epoch is refused, and the beat counts for nothing', async () => {
    await migration({ epoch: 2 })
    const fleet = server()
    await fleet.register(registration())
    await lapse()
    expect(await fleet.heartbeat('i-1', 'first', beat(3))).toMatchObject({
      error: { code: 'impossible-position' },
    })
    expect(await fleet.heartbeat('i-1', 'first', beat(1, 2))).toMatchObject({
      error: { code: 'impossible-position' },
    })
    expect(await facts()).toMatchObject([{ applied: 0, drained: 0 }])
    expect(await fleet.list({ limit: 1 })).toMatchObject([{ live: false }])
  })

  test('of a migration that nobody has registered are not believed later', async () => {
    const fleet = server()
    await fleet.register(registration())
    await fleet.heartbeat('i-1', 'first', beat(7))
    await migration({ epoch: 9 })
    expect(await facts()).toMatchObject([{ applied: 0, drained: 0 }])
  })

  test('of another process, after goodbye, or of nobody are refused without hurting others in the batch', async () => {
    await migration({ epoch: 5 })
    const fleet = server()
    await fleet.register(registration())
    await fleet.register(registration({ instance: 'i-2' }))
    await fleet.goodbye('i-2', 'first', beat(1))
    await lapse()
    await fleet.heartbeat('i-1', 'second', beat(5))
    expect(await fleet.list({ limit: 9 })).toMatchObject([{ id: 'i-1', live: false }])
    const results = await Promise.all([
      fleet.heartbeat('i-1', 'first', beat(2)),
      fleet.heartbeat('i-1', 'second', beat(5)),
      fleet.heartbeat('i-2', 'first', beat(5)),
      fleet.heartbeat('i-3', 'first', { revision: 1, positions: { 'm\u0000': { applied: 1, drained: 1 } } }),
    ])
    expect(results.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual([
      'ok',
      'unknown-instance',
      'unknown-instance',
      'unknown-instance',
    ])
    expect(await facts()).toMatchObject([{ id: 'i-1', applied: 2 }])
  })

  test('tell listeners which migrations went up', async () => {
    await migration({ epoch: 5 })
    const fleet = server()
    await fleet.register(registration())
    const told: (readonly string[])[] = []
    fleet.onProgress((migrations) => told.push(migrations))
    await fleet.heartbeat('i-1', 'first', beat(5))
    await fleet.heartbeat('i-1', 'first', beat(5))
    expect(told).toEqual([['m']])
  })

  test('of 2,000 instances cost one statement a flush, and their registration a few', async () => {
    await migration({ epoch: 5 })
    let statements = 0
    const count: Db = {
      query: (text, params) => {
        statements++
        return db.query(text, params)
      },
      tx: (work) =>
        db.tx((tx) =>
          work({
            query: (text, params) => {
              statements++
              return tx.query(text, params)
            },
          }),
        ),
      end: () => db.end(),
    }
    const fleet = server('one', 60_000, count)
    const ids = Array.from({ length: 2_000 }, (_, i) => `i-${i}`)
    const registered = await Promise.all(ids.map((instance) => fleet.register(registration({ instance }))))
    expect(registered.every(({ ok }) => ok)).toBe(true)
    expect(statements).toBeLessThanOrEqual(4 * 6)
    for (const epoch of [5, 5, 5]) {
      statements = 0
      const results = await Promise.all(ids.map((id) => fleet.heartbeat(id, 'first', beat(epoch))))
      expect(results.every(({ ok }) => ok)).toBe(true)
      expect(statements).toBeLessThanOrEqual(2)
    }
    expect((await facts()).every(({ drained }) => drained === 5)).toBe(true)
  })

  test('two servers that hear of the same instances at once do not deadlock', async () => {
    await migration({ epoch: 50 })
    const [one, two] = [server('one'), server('two')]
    const ids = Array.from({ length: 200 }, (_, i) => `i-${i}`)
    await Promise.all(ids.map((instance) => one.register(registration({ instance }))))
    for (let epoch = 1; epoch <= 10; epoch++) {
      const results = await Promise.all([
        ...ids.map((id) => one.heartbeat(id, 'first', beat(epoch))),
        ...[...ids].reverse().map((id) => two.heartbeat(id, 'first', beat(epoch))),
      ])
      expect(results.every(({ ok }) => ok)).toBe(true)
    }
  })
})

describe('leaving', () => {
  test('a lapsed instance stays listed; forgetting it is written down with the reason', async () => {
    await migration()
    const announced: number[] = []
    const fleet = createFleet({ db, clock: Date.now, server: 's', log, announce: (r) => announced.push(r) })
    await fleet.register(registration())
    await lapse()
    expect(await facts()).toHaveLength(1)
    expect(await fleet.forget('i-1', 'host is gone', 'ann')).toBe(true)
    expect(await fleet.forget('i-1', 'host is gone', 'ann')).toBe(false)
    expect(await facts()).toEqual([])
    const { rows } = await db.query('select * from audit_events')
    expect(rows).toMatchObject([
      { kind: 'instance.forgotten', actor: 'ann', subject: 'i-1', detail: { reason: 'host is gone' } },
    ])
    expect(announced).toEqual([rows[0]?.revision])
    expect(await fleet.heartbeat('i-1', 'first', beat(1))).toMatchObject({
      error: { code: 'unknown-instance' },
    })
    await fleet.stop()
  })

  test('an instance of an app that a migration names is told of, with or without handlers', async () => {
    await migration({}, ['rides-api'])
    const fleet = server()
    await fleet.register(registration({ migrations: {} }))
    await fleet.register(registration({ instance: 'i-2', app: 'other', migrations: {} }))
    expect(await facts()).toMatchObject([{ id: 'i-1', handlers: [], drained: 0 }])
  })

  test('the list comes in pages, by app or by migration', async () => {
    await migration()
    const fleet = server()
    for (const instance of ['a', 'b', 'c']) await fleet.register(registration({ instance }))
    await fleet.register(registration({ instance: 'd', app: 'other', migrations: {} }))
    const ids = async (filter: Parameters<Fleet['list']>[0]) => (await fleet.list(filter)).map(({ id }) => id)
    expect(await ids({ limit: 2 })).toEqual(['a', 'b'])
    expect(await ids({ limit: 2, after: 'b' })).toEqual(['c', 'd'])
    expect(await ids({ limit: 9, app: 'other' })).toEqual(['d'])
    expect(await ids({ limit: 9, migration: 'm' })).toEqual(['a', 'b', 'c'])
  })
})
