import type { WireError } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type { Socket } from 'socket.io-client'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { recordChange } from '../changes/record-change.ts'
import type { Db } from '../db/db.ts'
import { ask, pushWorld, registration } from './push-for-tests.ts'
import { createSnapshots } from './snapshots.ts'

const world = await pushWorld()
const { db, tokens, start, connect, commit } = world
afterEach(() => world.clear())
afterAll(() => world.drop())

const refusalOf = (socket: Socket): Promise<WireError> =>
  new Promise((resolve) =>
    socket.on('connect_error', (error) => resolve((error as Error & { data: WireError }).data)),
  )

describe('connecting', () => {
  test.each([
    [null, '/sdk', 'unauthorized'],
    ['wrong', '/sdk', 'unauthorized'],
    ['alert', '/sdk', 'forbidden'],
    ['viewer', '/sdk', 'forbidden'],
    ['sdk', '/console', 'forbidden'],
  ])('with token %s to %s is refused: %s', async (token, namespace, code) => {
    const { url } = await start()
    const socket = connect(url, token, namespace)
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
  let answered = (): void => undefined
  const looked = new Promise<void>((resolve) => {
    answered = resolve
  })
  const slow: Db = {
    ...db,
    query: async (text, params) => {
      const result = await db.query<never>(text, params)
      if (first) {
        first = false
        answered()
        await held
      }
      return result
    },
  }
  const snapshots = createSnapshots({ db: slow })
  const before = snapshots.fresh()
  await looked
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
