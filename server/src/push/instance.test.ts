import type { Change, RegistrationAnswer, WireError } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { recordChange } from '../changes/record-change.ts'
import type { Db } from '../db/db.ts'
import { ask, pushWorld, registration } from './push-for-tests.ts'

const world = await pushWorld()
const { db, start, connect, commit } = world
afterEach(() => world.clear())
afterAll(() => world.drop())

const beat = (epoch: number) => ({ revision: 0, positions: { m: { applied: epoch, drained: epoch } } })

describe('an instance', () => {
  test('registers, gets the snapshot, and then every change in order', async () => {
    await commit(3)
    const { url, push, fleet } = await start()
    const socket = connect(url)
    const changes: Change[] = []
    socket.on('change', (change: Change) => changes.push(change))
    const answer = await ask<RegistrationAnswer>(socket, 'register', registration())
    expect(answer).toMatchObject({
      ok: true,
      value: { heartbeatMs: 5_000, leaseMs: 15_000, snapshot: { migrations: [{ id: 'm', epoch: 3 }] } },
    })
    expect(await fleet.list({ limit: 9 })).toMatchObject([{ id: 'i-1', live: true }])
    expect(push.connected()).toBe(1)
    let last = 0
    for (let epoch = 4; epoch <= 23; epoch++) last = await commit(epoch)
    await waitFor(() => changes.at(-1)?.revision === last)
    const epochs = changes.map(({ migrations }) => migrations[0]?.epoch ?? 0)
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
    expect(epochs.at(-1)).toBe(23)
    let reached = answer.ok ? answer.value.snapshot.revision : -1
    for (const change of changes) {
      expect(change.since).toBeLessThanOrEqual(reached)
      reached = change.revision
    }
  })

  test('hears of flags and removals, and not of what only the audit log knows', async () => {
    const { url, push } = await start()
    const socket = connect(url)
    const changes: Change[] = []
    socket.on('change', (change: Change) => changes.push(change))
    await ask(socket, 'register', registration())
    const heard = push.revision
    await db.tx((tx) => recordChange(tx, { at: 0, actor: 'ann', kind: 'audit.only', subject: 'x' }))
    await db.tx(async (tx) => {
      const revision = await recordChange(tx, { at: 0, actor: 'ann', kind: 'flag.set', subject: 'f' })
      await tx.query(`insert into flags values ('f', '{"key":"f"}', $1, now())`, [revision])
      await tx.query(`insert into removals values ('flag', 'g', $1), ('migration', 'n', $1)`, [revision])
    })
    await waitFor(() => changes.length > 0)
    expect(changes).toMatchObject([
      { since: heard, migrations: [], flags: [{ key: 'f' }], removedMigrations: ['n'], removedFlags: ['g'] },
    ])
  })

  test('that registers while changes are committed misses none', async () => {
    await commit(1)
    const { url } = await start()
    let epoch = 1
    let going = true
    const committing = (async () => {
      while (going) await commit(++epoch)
    })()
    const reached = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const socket = connect(url)
        let at = -1
        let newest = 0
        const gaps: Change[] = []
        const early: Change[] = []
        const apply = (change: Change) => {
          if (change.since > at) gaps.push(change)
          at = Math.max(at, change.revision)
          newest = Math.max(newest, change.migrations[0]?.epoch ?? 0)
        }
        socket.on('change', (change: Change) => (at < 0 ? early.push(change) : apply(change)))
        const answer = await ask<RegistrationAnswer>(socket, 'register', registration(`i-${i}`))
        if (!answer.ok) throw new Error(answer.error.message)
        at = answer.value.snapshot.revision
        newest = answer.value.snapshot.migrations[0]?.epoch ?? 0
        for (const change of early) apply(change)
        return { newest: () => newest, gaps }
      }),
    )
    going = false
    await committing
    for (const { newest, gaps } of reached) {
      await waitFor(() => newest() === epoch)
      expect(gaps).toEqual([])
    }
  })

  test('whose snapshot was read before a change that it was not there to hear gets a newer one', async () => {
    await commit(1)
    let release = (): void => undefined
    let holding: Promise<void> | undefined
    const slow: Db = {
      ...db,
      query: async (text, params) => {
        const result = await db.query<never>(text, params)
        await holding
        return result
      },
    }
    const { url, push } = await start(slow)
    holding = new Promise<void>((resolve) => {
      release = resolve
    })
    const socket = connect(url)
    const answering = ask<RegistrationAnswer>(socket, 'register', registration())
    await waitFor(async () => (await db.query('select from instances')).rows.length === 1)
    const revision = await commit(2)
    await waitFor(() => push.revision === revision)
    release()
    expect(await answering).toMatchObject({
      ok: true,
      value: { snapshot: { revision, migrations: [{ epoch: 2 }] } },
    })
  })

  test('whose progress is told has it in the store, and one told of a future epoch is refused', async () => {
    await commit(5)
    const { url, fleet } = await start()
    const socket = connect(url)
    await ask(socket, 'register', registration())
    expect(await ask(socket, 'progress', beat(5))).toEqual({ ok: true, value: null })
    expect(await fleet.list({ limit: 1 })).toMatchObject([{ migrations: { m: { applied: 5, drained: 5 } } }])
    expect(await ask(socket, 'progress', beat(6))).toMatchObject({
      ok: false,
      error: { code: 'impossible-position' },
    })
    expect(await ask(socket, 'heartbeat', beat(5))).toMatchObject({ ok: true, value: { leaseMs: 15_000 } })
    expect(await ask(socket, 'goodbye', beat(5))).toEqual({ ok: true, value: null })
    expect(await ask(socket, 'heartbeat', beat(5))).toMatchObject({ error: { code: 'unknown-instance' } })
    expect(await fleet.list({ limit: 1 })).toEqual([])
  })

  test.each([
    ['register', { ...registration(), extra: 1 }],
    ['register', 'nonsense'],
    ['heartbeat', { revision: -1, positions: {} }],
    ['progress', null],
    ['telemetry', { measurements: 'many', dropped: 0 }],
    ['goodbye', []],
  ])('that sends a bad %s is told so, and its connection lives on', async (event, body) => {
    const { url } = await start()
    const socket = connect(url)
    expect(await ask(socket, event, body)).toMatchObject({ ok: false, error: { code: 'bad-message' } })
    expect(await ask(socket, 'sync')).toMatchObject({ ok: true })
  })

  test('that floods the server is told to slow down', async () => {
    const { url } = await start()
    const socket = connect(url)
    const answers = await Promise.all(Array.from({ length: 400 }, () => ask(socket, 'heartbeat', beat(1))))
    const codes = new Set(answers.map((answer) => (answer.ok ? 'ok' : answer.error.code)))
    expect(codes).toEqual(new Set(['unknown-instance', 'too-many-messages']))
  })

  test('that is forgotten is told so, and can register again', async () => {
    const { url, fleet } = await start()
    const socket = connect(url)
    const dismissed: WireError[] = []
    socket.on('dismissed', (error: WireError) => dismissed.push(error))
    await ask(socket, 'register', registration())
    await fleet.forget('i-1', 'certainly gone', 'ann')
    await waitFor(() => dismissed.length > 0)
    expect(dismissed).toMatchObject([{ code: 'forgotten', retryable: true }])
    expect(await ask(socket, 'heartbeat', beat(0))).toMatchObject({ error: { code: 'unknown-instance' } })
    expect(await ask(socket, 'register', registration())).toMatchObject({ ok: true })
  })

  test('that lost its id to another process is told so', async () => {
    const { url } = await start()
    const [first, second] = [connect(url), connect(url)]
    const dismissed: WireError[] = []
    first.on('dismissed', (error: WireError) => dismissed.push(error))
    await ask(first, 'register', registration())
    expect(await ask(second, 'register', registration('i-1', 'second'))).toMatchObject({
      error: { code: 'instance-taken' },
    })
    await db.query(`update instances set lease_until = now() - interval '1 s'`)
    expect(await ask(second, 'register', registration('i-1', 'second'))).toMatchObject({ ok: true })
    await waitFor(() => dismissed.length > 0)
    expect(dismissed).toMatchObject([{ code: 'instance-taken' }])
  })

  test('has its measurements handed on under its name', async () => {
    const { url, measured } = await start()
    const socket = connect(url)
    expect(await ask(socket, 'telemetry', { measurements: [], dropped: 0 })).toMatchObject({ ok: false })
    await ask(socket, 'register', registration())
    expect(await ask(socket, 'telemetry', { measurements: [], dropped: 7 })).toMatchObject({ ok: true })
    expect(measured).toMatchObject([{ instance: { id: 'i-1', app: 'rides-api' }, telemetry: { dropped: 7 } }])
  })
  test('is believed about no migration that its token is not for', async () => {
    world.tokens.set('scoped', { role: 'sdk', name: 'scoped', migrations: ['m'] })
    const { url, measured } = await start()
    const socket = connect(url, 'scoped')
    await ask(socket, 'register', registration())
    const of = (migration: string) => ({
      ...{ migration, epoch: 1, path: 'new', operation: 'read', count: 9, errors: { XX000: 9 }, latency: [] },
      ...{ mismatches: 0, compared: 0, secondaryFailures: 0 },
    })
    const batch = { measurements: [of('m'), of('theirs')], dropped: 1 }
    expect(await ask(socket, 'telemetry', batch)).toMatchObject({ ok: true })
    expect(measured.map(({ telemetry }) => telemetry)).toEqual([
      { measurements: [expect.objectContaining({ migration: 'm' })], dropped: 1 },
    ])
  })
})
