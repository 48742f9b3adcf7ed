import { definitionSchema, initialState, type Registration } from '@switchback/migrations-registry'
import { testStore } from '@switchback/test/support'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { createFleet } from './fleet.ts'

const store = await testStore()
const { db } = store
const log = { warn: () => undefined }
const fleet = createFleet({ db, clock: Date.now, server: 'one', log, leaseMs: 60_000 })
afterAll(async () => {
  await fleet.stop()
  await store.drop()
})
beforeEach(async () => {
  await db.query('truncate instances, migrations, app_versions, audit_events cascade')
  for (const id of ['mine', 'theirs']) {
    const definition = definitionSchema.parse({ id, title: id, apps: id === 'theirs' ? ['rides-api'] : [] })
    await db.query(`insert into migrations values ($1, $2, '', '{}', '', $3, 1, now(), now())`, [
      id,
      definition,
      { ...initialState(id, 0), epoch: 5 },
    ])
  }
})

const MINE = { migrations: ['mine'] }
const can = { handlers: ['old', 'new'] as const, fenced: true }
const at = (epoch: number) => ({ applied: epoch, drained: epoch })
const registration = (given: Partial<Registration> = {}): Registration => ({
  protocol: 1,
  instance: 'i-1',
  incarnation: 'first',
  app: 'other-api',
  version: '1.0.0',
  onLeaseExpired: 'hold',
  migrations: {
    mine: { ...can, handlers: [...can.handlers] },
    theirs: { ...can, handlers: [...can.handlers] },
  },
  positions: { mine: at(4), theirs: at(4) },
  ...given,
})
const own = (given: Partial<Registration> = {}): Registration =>
  registration({ migrations: { mine: { ...can, handlers: ['old', 'new'] } }, positions: {}, ...given })

/** What the gate of a migration judges by. */
const gateOf = async (migration: string) =>
  (await fleet.factsFor(db, migration, [])).map(({ id, applied, drained, leaseUntil }) => ({
    ...{ id, applied, drained },
    live: leaseUntil > Date.now(),
  }))
const lapse = () => db.query(`update instances set lease_until = now() - interval '1 s'`)
const code = (result: { readonly ok: boolean; readonly error?: { readonly code: string } }) =>
  result.ok ? 'ok' : result.error?.code

describe('a sender whose token is for one migration', () => {
  test('registers nothing, and teaches nothing of its version, where it claims another', async () => {
    const result = await fleet.register(registration(), MINE)
    expect(result).toMatchObject({ ok: false, error: { code: 'out-of-scope', retryable: false } })
    expect(result.ok ? '' : result.error.message).toContain('"theirs"')
    expect(await gateOf('theirs')).toEqual([])
    expect(await gateOf('mine')).toEqual([])
    expect((await db.query('select from app_versions')).rows).toEqual([])
  })

  test('is told of ten of the migrations that it may not speak of, and how many more there are', async () => {
    const migrations = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`m-${i}`, own().migrations.mine]),
    )
    const result = await fleet.register(own({ migrations: migrations as Registration['migrations'] }), MINE)
    expect(result.ok ? '' : result.error.message).toMatch(/migrations "m-0", .*"m-9" and 2 more/)
  })

  test('is registered with what is its own, and reports it', async () => {
    expect(await fleet.register(own(), MINE)).toMatchObject({ ok: true })
    const beat = { revision: 0, positions: { mine: at(5) } }
    expect(await fleet.heartbeat('i-1', 'first', beat, MINE)).toMatchObject({ ok: true })
    expect(await gateOf('mine')).toEqual([{ id: 'i-1', ...at(5), live: true }])
    expect(await fleet.goodbye('i-1', 'first', beat, MINE)).toMatchObject({ ok: true })
    expect(await gateOf('mine')).toEqual([])
  })

  // Who knows the incarnation of another process could otherwise speak for it, by polling.
  test('cannot move, keep alive or take off the books a process that has told of another', async () => {
    await fleet.register(registration())
    await lapse()
    const before = [{ id: 'i-1', ...at(4), live: false }]
    const beat = (positions: Registration['positions']) => ({ revision: 0, positions })
    const tries = [
      fleet.heartbeat('i-1', 'first', beat({ mine: at(5), theirs: at(5) }), MINE),
      fleet.heartbeat('i-1', 'first', beat({ mine: at(5) }), MINE),
      fleet.heartbeat('i-1', 'first', beat({}), MINE),
      fleet.goodbye('i-1', 'first', beat({}), MINE),
      fleet.register(own({ onLeaseExpired: 'stop' }), MINE),
    ]
    expect((await Promise.all(tries)).map(code)).toEqual([
      'out-of-scope',
      'unknown-instance',
      'unknown-instance',
      'unknown-instance',
      'out-of-scope',
    ])
    expect(await gateOf('theirs')).toEqual(before)
    expect(await gateOf('mine')).toEqual(before)
    // What is refused to one sender is not refused to the other, even where both speak at once.
    const both = [
      fleet.heartbeat('i-1', 'first', beat({}), MINE),
      fleet.heartbeat('i-1', 'first', beat({ theirs: at(5) })),
    ]
    expect(code((await Promise.all(both))[1] ?? { ok: false })).toBe('ok')
    expect(await gateOf('theirs')).toEqual([{ id: 'i-1', ...at(5), live: true }])
  })

  test('that takes over an id leaves the process before it on the books of the other gate', async () => {
    await fleet.register(registration())
    await lapse()
    expect(await fleet.register(own({ incarnation: 'second' }), MINE)).toMatchObject({ ok: true })
    expect(await gateOf('theirs')).toEqual([{ id: 'i-1~previous', ...at(4), live: false }])
    // Nor does it take that off the books by saying goodbye as that process.
    const beat = { revision: 0, positions: { mine: at(5) } }
    expect(code(await fleet.heartbeat('i-1~previous', 'first', beat, MINE))).toBe('unknown-instance')
    expect(code(await fleet.goodbye('i-1', 'first', beat, MINE))).toBe('unknown-instance')
    expect(await gateOf('theirs')).toEqual([{ id: 'i-1~previous', ...at(4), live: false }])
  })

  test('under an app that another migration counts on is counted there, and refused once handlers are needed', async () => {
    const asApp = own({ app: 'rides-api' })
    expect(await fleet.register(asApp, MINE)).toMatchObject({ ok: true })
    expect(await fleet.factsFor(db, 'theirs', ['rides-api'])).toMatchObject([{ id: 'i-1', handlers: [] }])
    await db.query(
      `update migrations set state = jsonb_set(state, '{phase}', '"dual-write"') where id = 'theirs'`,
    )
    const result = await fleet.register(asApp, MINE)
    expect(code(result)).toBe('out-of-scope')
    expect(result.ok ? '' : result.error.message).toMatch(
      /rides-api is one of the apps of the migration "theirs"/,
    )
    expect(result.ok ? '' : result.error.message).not.toContain('dual-write')
  })
})

test('lists show the instances of a scope, each with its part, and pages are full', async () => {
  for (const n of [1, 2, 3, 4, 5, 6]) {
    const claim = n % 2 === 0 ? registration : own
    await fleet.register(claim({ instance: `i-${n}`, positions: n === 1 ? { mine: at(5) } : {} }))
    await fleet.register(
      own({ instance: `h-${n}`, app: n === 6 ? 'rides-api' : 'other-api', migrations: {} }),
    )
  }
  const pages = async (scope: readonly string[], more: object = {}) => {
    const found: string[][] = []
    for (let after: string | undefined; ; ) {
      const page = await fleet.list({ limit: 2, scope, ...more, ...(after === undefined ? {} : { after }) })
      if (page.length === 0) return found
      found.push(page.map(({ id, migrations }) => `${id} ${Object.keys(migrations).sort()}`))
      after = page.at(-1)?.id
    }
  }
  const all = ['i-1', 'i-2', 'i-3', 'i-4', 'i-5', 'i-6'].map((id) => `${id} mine`)
  expect(await pages(['mine'])).toEqual([all.slice(0, 2), all.slice(2, 4), all.slice(4)])
  expect(await pages(['theirs'])).toEqual([
    ['h-6 ', 'i-2 theirs'],
    ['i-4 theirs', 'i-6 theirs'],
  ])
  expect(await pages(['mine'], { state: 'behind' })).toEqual([all.slice(1, 3), all.slice(3, 5), all.slice(5)])
  await db.query(`update instance_positions set drained = 5, applied = 5 where migration = 'mine'`)
  expect(await pages(['mine'], { state: 'behind' })).toEqual([])
  expect(await pages([])).toEqual([])
})

// As they are kept, and as versions before kept them, whose servers may still be at work.
test.each(['', 'several'])('for predecessors kept together as %j nobody speaks', async (together) => {
  for (const incarnation of ['first', 'second', 'third']) {
    await fleet.register(registration({ incarnation }))
    await lapse()
  }
  // A process may come in under any name; what others have left is not its own for that.
  await fleet.register(own({ incarnation: 'several' }))
  const kept = async () =>
    (await db.query(`select incarnation, lease_until from instances where id = 'i-1~previous'`)).rows
  expect(await kept()).toMatchObject([{ incarnation: '' }])
  await db.query(`update instances set incarnation = $1 where id = 'i-1~previous'`, [together])
  const before = await kept()
  const beat = { revision: 1, positions: { mine: at(5), theirs: at(5) } }
  expect(await fleet.goodbye('i-1', 'several', beat)).toMatchObject({ ok: true })
  for (const incarnation of ['', 'several', 'first', 'second']) {
    const said = await Promise.all([
      fleet.register(registration({ instance: 'i-1~previous', incarnation })),
      fleet.heartbeat('i-1~previous', incarnation, beat),
      fleet.heartbeat('i-1~previous', incarnation, { revision: 1, positions: {} }),
      fleet.goodbye('i-1~previous', incarnation, beat),
      fleet.goodbye('i-1', incarnation, beat),
    ])
    expect(said.map(({ ok }) => ok)).toEqual([false, false, false, false, false])
  }
  expect(await kept()).toEqual(before)
  expect(await gateOf('theirs')).toEqual([{ id: 'i-1~previous', ...at(4), live: false }])
  expect(await fleet.forget('i-1~previous', 'all three are gone', 'ann')).toBe(true)
  expect(await gateOf('theirs')).toEqual([])
})
