import type { Change, RegistrationAnswer, Snapshot } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type { Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { recordChange } from '../changes/record-change.ts'
import { ask, pushWorld, registration } from './push-for-tests.ts'

const world = await pushWorld()
const { db, tokens, start, connect, commit } = world
beforeEach(() => {
  const scoped = (name: string, migrations: readonly string[], role = 'sdk') =>
    tokens.set(name, { role, name, migrations })
  scoped('for-m', ['m'])
  scoped('for-both', ['n', 'm'])
  scoped('for-both-again', ['m', 'n', 'm'])
  scoped('for-none', ['nothing'])
  scoped('looks-at-m', ['m'], 'viewer')
})
afterEach(() => world.clear())
afterAll(() => world.drop())

function changesOn(socket: Socket): Change[] {
  const changes: Change[] = []
  socket.on('change', (change: Change) => changes.push(change))
  return changes
}
const idsOf = ({ migrations }: Pick<Snapshot, 'migrations'>) => migrations.map(({ id }) => id)
const nobody = (instance: string) => ({ ...registration(instance), migrations: {} })

describe('an instance with a token for certain migrations', () => {
  test.each([
    ['for-m', ['m']],
    ['for-both', ['m', 'n']],
    ['for-none', []],
    ['sdk', ['m', 'n', 'o']],
  ])('is told of those alone when it registers and when it syncs: %s', async (token, told) => {
    for (const id of ['m', 'n', 'o']) await commit(1, id)
    const { url } = await start()
    const socket = connect(url, token)
    // Whoever has not registered is told no more than whoever has.
    const before = await ask<Snapshot>(socket, 'sync')
    const registered = await ask<RegistrationAnswer>(socket, 'register', nobody('i-1'))
    const after = await ask<Snapshot>(socket, 'sync')
    if (!before.ok || !registered.ok || !after.ok) throw new Error('all three are answered')
    for (const snapshot of [before.value, registered.value.snapshot, after.value]) {
      expect(idsOf(snapshot)).toEqual(told)
    }
  })

  test('hears of every revision without a gap, and of what is in it within its scope', async () => {
    await commit(1, 'm')
    const { url, push } = await start()
    const [own, all] = [connect(url, 'for-m'), connect(url, 'sdk')]
    const [heard, whole] = [changesOn(own), changesOn(all)]
    const answer = await ask<RegistrationAnswer>(own, 'register', registration())
    await ask(all, 'register', nobody('i-2'))
    if (!answer.ok) throw new Error(answer.error.message)
    let reached = answer.value.snapshot.revision
    for (const id of ['n', 'n', 'm', 'n', 'o', 'm']) {
      const revision = await commit(push.revision + 1, id)
      await waitFor(() => heard.at(-1)?.revision === revision)
    }
    await db.tx(async (tx) => {
      const revision = await recordChange(tx, { at: 0, actor: 'ann', kind: 'flag.set', subject: 'f' })
      await tx.query(`insert into flags values ('f', '{"key":"f"}', $1, now())`, [revision])
      await tx.query(`insert into removals values ('migration', 'n', $1), ('migration', 'm', $1)`, [revision])
    })
    await waitFor(() => heard.at(-1)?.flags.length === 1 && whole.at(-1)?.flags.length === 1)
    for (const { since, revision } of heard) {
      expect(since).toBe(reached)
      reached = revision
    }
    expect(heard.map(idsOf)).toEqual([[], [], ['m'], [], [], ['m'], []])
    expect(whole.map(idsOf)).toEqual([['n'], ['n'], ['m'], ['n'], ['o'], ['m'], []])
    expect(heard.at(-1)?.removedMigrations).toEqual(['m'])
    expect(whole.at(-1)?.removedMigrations).toEqual(['n', 'm'])
  })

  test('hears nothing more once it has said goodbye', async () => {
    const { url } = await start()
    const [own, all] = [connect(url, 'for-m'), connect(url, 'sdk')]
    const [heard, whole] = [changesOn(own), changesOn(all)]
    await ask(own, 'register', registration())
    await ask(all, 'sync')
    await ask(own, 'goodbye', { revision: 0, positions: {} })
    const revision = await commit(1, 'm')
    await waitFor(() => whole.at(-1)?.revision === revision)
    // Answered after whatever was sent before.
    await ask(own, 'goodbye', { revision: 0, positions: {} })
    expect(heard).toEqual([])
  })

  test.each([
    [
      'handlers',
      { migrations: { m: { handlers: ['old'], fenced: true }, n: { handlers: [], fenced: true } } },
    ],
    ['a position', { positions: { m: { applied: 1, drained: 1 }, n: { applied: 1, drained: 1 } } }],
  ])('is refused as a whole where it claims %s of another, and told which', async (_, claim) => {
    for (const id of ['m', 'n']) await commit(1, id)
    const { url, fleet } = await start()
    const socket = connect(url, 'for-m')
    const answer = await ask(socket, 'register', { ...registration(), ...claim })
    expect(answer).toMatchObject({ ok: false, error: { code: 'out-of-scope', retryable: false } })
    if (!answer.ok) expect(answer.error.message).toMatch(/not for the migration "n".*scope includes/)
    expect(await fleet.list({ limit: 9 })).toEqual([])
    expect(await ask(socket, 'heartbeat', { revision: 0, positions: {} })).toMatchObject({
      error: { code: 'unknown-instance' },
    })
  })

  test.each(['heartbeat', 'progress'])('moves no position of another by a %s', async (event) => {
    for (const id of ['m', 'n']) await commit(3, id)
    const { url, fleet } = await start()
    const socket = connect(url, 'for-m')
    await ask(socket, 'register', registration())
    const positions = { m: { applied: 3, drained: 3 }, n: { applied: 3, drained: 3 } }
    expect(await ask(socket, event, { revision: 0, positions })).toMatchObject({
      error: { code: 'out-of-scope' },
    })
    expect(await fleet.list({ limit: 1 })).toMatchObject([{ migrations: { m: { applied: 0, drained: 0 } } }])
  })
})

test('a change is encoded once for each scope, however many instances have it', async () => {
  // What is encoded is asked for its JSON; the counts tell how often.
  let encoded = 0
  for (const id of ['m', 'n']) await commit(1, id)
  const { url, push } = await start()
  const join = async (token: string, instance: string) => {
    const socket = connect(url, token)
    const heard = changesOn(socket)
    await ask(socket, 'register', nobody(instance))
    return heard
  }
  const stringify = JSON.stringify
  const costOfOne = async (heard: readonly Change[][]) => {
    encoded = 0
    JSON.stringify = ((...given: Parameters<typeof stringify>) => {
      if (Array.isArray(given[0]) && given[0][0] === 'change') encoded++
      return stringify(...given)
    }) as typeof stringify
    try {
      const revision = await commit(push.revision + 1, 'm')
      await waitFor(() => heard.every((changes) => changes.at(-1)?.revision === revision))
    } finally {
      JSON.stringify = stringify
    }
    return encoded
  }
  const heard = [await join('sdk', 'a-0'), await join('for-m', 'b-0'), await join('for-both', 'c-0')]
  expect(await costOfOne(heard)).toBe(3)
  for (let i = 1; i <= 4; i++) {
    heard.push(await join('sdk', `a-${i}`), await join('for-m', `b-${i}`))
    heard.push(await join('for-both-again', `c-${i}`))
  }
  expect(await costOfOne(heard)).toBe(3)
})

test('a console with a token for certain migrations hears of those alone', async () => {
  const { url, push } = await start()
  const listen = (token: string) => {
    const socket = connect(url, token, '/console')
    const heard: unknown[][] = []
    for (const event of ['revision', 'progress', 'fleet']) {
      socket.on(event, (body) => heard.push([event, body]))
    }
    return { socket, heard }
  }
  const [own, all] = [listen('looks-at-m'), listen('viewer')]
  await waitFor(() => own.socket.connected && all.socket.connected)
  const first = await commit(1, 'n')
  await waitFor(() => own.heard.length === 1 && all.heard.length === 1)
  const second = await commit(1, 'm')
  await waitFor(() => own.heard.length === 2 && all.heard.length === 2)
  expect(own.heard.splice(0)).toEqual([
    ['revision', { revision: first, subjects: [] }],
    ['revision', { revision: second, subjects: ['m'] }],
  ])
  expect(all.heard.splice(0)).toEqual([
    ['revision', { revision: first, subjects: ['n'] }],
    ['revision', { revision: second, subjects: ['m'] }],
  ])
  const update = (migration: string) => ({
    migration,
    kind: 'backfill',
    epoch: 1,
    progress: { stage: 'copying', done: 1 },
  })
  push.progress(update('n'))
  await waitFor(() => all.heard.length === 1)
  push.fleetMoved(['n'])
  push.fleetMoved(['n', 'm'])
  push.progress(update('m'))
  await waitFor(() => own.heard.length === 2)
  expect(own.heard).toEqual([
    ['progress', update('m')],
    ['fleet', { migrations: ['m'] }],
  ])
  expect(all.heard).toEqual([
    ['progress', update('n')],
    ['progress', update('m')],
    ['fleet', { migrations: ['n', 'm'] }],
  ])
})
