import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Answer,
  type Change,
  definitionSchema,
  initialState,
  type RegistrationAnswer,
  type Telemetry,
  type WireError,
} from '@switchback/migrations-registry'
import { testStore, waitFor } from '@switchback/test/support'
import { io, type Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { recordChange } from '../changes/record-change.ts'
import type { Db } from '../db/db.ts'
import { createFleet } from '../fleet/fleet.ts'
import type { Fleet } from '../fleet/fleet-port.ts'
import { createRevisions } from './create-revisions.ts'
import { createPush, type Push } from './push.ts'
import type { Revisions } from './revisions.ts'
import { createSnapshots } from './snapshots.ts'

const store = await testStore()
const { db } = store
const log = { info: () => undefined, warn: () => undefined }
const open: (() => Promise<unknown>)[] = []
const tokens = new Map<string, { role: string; name: string }>()

beforeEach(() => {
  tokens.clear()
  for (const role of ['sdk', 'viewer', 'alert', 'admin']) tokens.set(role, { role, name: role })
})
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  await db.query('truncate instances, migrations, flags, removals, audit_events cascade')
})
afterAll(async () => {
  await store.drop()
})

interface Running {
  readonly url: string
  readonly push: Push
  readonly fleet: Fleet
  readonly revisions: Revisions
  readonly measured: { instance: { id: string }; telemetry: Telemetry }[]
}

async function start(on: Db = db, more: { readonly maxJoining?: number } = {}): Promise<Running> {
  const httpServer: Server = createServer((_, response) => response.end('other'))
  const revisions = await createRevisions({ db, log, pollMs: 20 })
  const fleet = createFleet({ db, clock: Date.now, server: 's', log, announce: revisions.announce })
  const measured: Running['measured'] = []
  const push = await createPush({
    httpServer,
    db,
    auth: async (token) => tokens.get(token),
    fleet,
    snapshots: createSnapshots({ db: on }),
    revisions,
    telemetry: (instance, telemetry) => measured.push({ instance, telemetry }),
    log,
    ...more,
  })
  await new Promise<void>((resolve) => httpServer.listen(0, '127.0.0.1', resolve))
  open.push(async () => {
    await push.stop()
    await fleet.stop()
    await revisions.stop()
    await new Promise((resolve) => httpServer.close(resolve))
  })
  return {
    url: `http://127.0.0.1:${(httpServer.address() as AddressInfo).port}`,
    push,
    fleet,
    revisions,
    measured,
  }
}

function connect(url: string, token: string | undefined = 'sdk', namespace = '/sdk'): Socket {
  const socket = io(`${url}${namespace}`, {
    transports: ['websocket'],
    auth: token === undefined ? {} : { token },
    reconnection: false,
    forceNew: true,
  })
  open.push(async () => socket.disconnect())
  return socket
}

const refusalOf = (socket: Socket): Promise<WireError> =>
  new Promise((resolve) =>
    socket.on('connect_error', (error) => resolve((error as Error & { data: WireError }).data)),
  )

const ask = <Value>(socket: Socket, event: string, ...body: unknown[]): Promise<Answer<Value>> =>
  socket.timeout(10_000).emitWithAck(event, ...body) as Promise<Answer<Value>>

const registration = (instance = 'i-1', incarnation = 'first') => ({
  protocol: 1,
  instance,
  incarnation,
  app: 'rides-api',
  version: '1.0.0',
  onLeaseExpired: 'hold',
  migrations: { m: { handlers: ['old', 'new'], fenced: true } },
  positions: {},
})

const beat = (epoch: number) => ({ revision: 0, positions: { m: { applied: epoch, drained: epoch } } })

/** Commits a migration at this epoch, as a server elsewhere would. */
const commit = (epoch: number, id = 'm'): Promise<number> =>
  db.tx(async (tx) => {
    const revision = await recordChange(tx, {
      at: Date.now(),
      actor: 'ann',
      kind: 'migration.advanced',
      subject: id,
    })
    await tx.query(
      `insert into migrations values ($1, $2, '', '{}', '', $3, $4, now(), now())
       on conflict (id) do update set state = excluded.state, revision = excluded.revision`,
      [id, definitionSchema.parse({ id, title: id }), { ...initialState(id, 0), epoch }, revision],
    )
    return revision
  })

describe('connecting', () => {
  test.each([
    [undefined, '/sdk', 'unauthorized'],
    ['wrong', '/sdk', 'unauthorized'],
    ['alert', '/sdk', 'forbidden'],
    ['viewer', '/sdk', 'forbidden'],
    ['sdk', '/console', 'forbidden'],
  ])('with token %s to %s is refused: %s', async (token, namespace, code) => {
    const { url } = await start()
    const socket = io(`${url}${namespace}`, {
      transports: ['websocket'],
      auth: token === undefined ? {} : { token },
      reconnection: false,
      forceNew: true,
    })
    open.push(async () => socket.disconnect())
    expect(await refusalOf(socket)).toMatchObject({ code, retryable: false })
  })

  test('other requests reach the HTTP server, and long polling is not spoken', async () => {
    const { url } = await start()
    expect(await (await fetch(url)).text()).toBe('other')
    expect((await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).status).toBe(400)
  })

  test('more than can be served at the same time are told at once to come again, and then get in', async () => {
    const { url } = await start(db, { maxJoining: 2 })
    const [first, second] = [connect(url), connect(url)]
    await waitFor(() => first.connected && second.connected)
    // Neither has registered yet, so nobody else is let in; the refusal is one that may pass.
    const refusal = new Promise<string>((resolve) => {
      const third = connect(url)
      third.on('connect_error', (error) => {
        const { description } = error as { description?: { message?: string } }
        resolve(`${error.message} ${description?.message}`)
      })
    })
    expect(await refusal).toContain('Unexpected server response: 503')
    await ask(first, 'register', registration())
    const fourth = connect(url)
    await waitFor(() => fourth.connected)
    fourth.disconnect()
    second.disconnect()
    // Who goes away makes room as well.
    const others = await waitFor(async () => {
      const one = connect(url)
      await new Promise<void>((resolve) => {
        one.once('connect', resolve).once('connect_error', () => resolve())
      })
      return one.connected
    })
    expect(others).toBe(true)
  })

  test('a token that is revoked ends its connections', async () => {
    const { url } = await start()
    const [kept, revoked] = [connect(url, 'admin'), connect(url, 'sdk')]
    await Promise.all([ask(kept, 'sync'), ask(revoked, 'sync')])
    tokens.delete('sdk')
    await db.tx((tx) =>
      recordChange(tx, { at: Date.now(), actor: 'ann', kind: 'token.revoked', subject: 't' }),
    )
    await waitFor(() => !revoked.connected)
    expect(kept.connected).toBe(true)
  })
})

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
})

test('clients that come back together cost few reads of the store', async () => {
  await commit(1)
  let reads = 0
  const counting: Db = {
    ...db,
    query: (text, params) => {
      reads++
      return db.query(text, params)
    },
  }
  const snapshots = createSnapshots({ db: counting })
  const all = await Promise.all(Array.from({ length: 10_000 }, () => snapshots.fresh()))
  expect(new Set(all).size).toBeLessThanOrEqual(2)
  expect(reads).toBeLessThanOrEqual(2)
  const revision = await commit(2)
  expect((await snapshots.fresh()).revision).toBe(revision)
})

test('a snapshot asked for after a commit holds it, even while an older question is open', async () => {
  await commit(1)
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let first = true
  const slow: Db = {
    ...db,
    query: async (text, params) => {
      const result = await db.query<never>(text, params)
      if (first) {
        first = false
        await held
      }
      return result
    },
  }
  const snapshots = createSnapshots({ db: slow })
  const before = snapshots.fresh()
  const revision = await commit(2)
  const after = snapshots.fresh()
  release()
  expect((await after).revision).toBe(revision)
  expect((await before).revision).toBeLessThan(revision)
})

test('the console hears of revisions with their subjects, and of progress', async () => {
  const { url, push } = await start()
  const socket = connect(url, 'viewer', '/console')
  const heard: unknown[] = []
  socket.on('revision', (body) => heard.push(body))
  socket.on('progress', (body) => heard.push(body))
  await waitFor(() => socket.connected)
  const revision = await commit(1)
  await waitFor(() => heard.length === 1)
  expect(heard).toEqual([{ revision, subjects: ['m'] }])
  const update = (done: number) => ({
    migration: 'm',
    kind: 'backfill',
    epoch: 1,
    progress: { stage: 'copying', done },
  })
  for (let done = 1; done <= 100; done++) push.progress(update(done))
  await waitFor(() => heard.length === 3)
  expect(heard.slice(1)).toEqual([update(1), update(100)])
})
