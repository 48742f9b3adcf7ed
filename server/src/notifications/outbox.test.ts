import { afterEach, beforeEach, expect, test } from 'vitest'
import { type NoticesWorld, noticesWorld } from './notices-for-tests.ts'
import { takeDue } from './outbox-store.ts'

const EVENTS = ['reverted', 'resolved']

let world: NoticesWorld
let path: string

beforeEach(async () => {
  world = await noticesWorld()
  path = '/chat'
  await world.channel('chat', 'slack', { url: world.base + path, events: EVENTS })
  await world.api.ramped('profiles')
})
afterEach(() => world.stop())

const rearm = () => world.api.phases.command('profiles', { type: 'rearm', reason: 'mended' }, { name: 'ann' })
const only = async () => {
  const { rows } = await world.store.db.query<{ status: string; attempts: number; next_at: Date }>(
    'select status, attempts, next_at from notifications order by seq limit 1',
  )
  const [row] = rows
  if (row === undefined) throw new Error('nothing was queued')
  return row
}

test('tries lie further and further apart, up to ten minutes, and the last of them after about an hour', async () => {
  const { api, answers, at, revert } = world
  answers.set(path, { status: 503 })
  await revert('profiles')
  const began = api.now()
  for (let attempt = 1; attempt <= 15; attempt++) {
    const before = api.now()
    await api.notifier.run()
    const { status, attempts, next_at } = await only()
    expect([status, attempts]).toEqual(['pending', attempt])
    const longest = Math.min(1000 * 2 ** (attempt - 1), 600_000)
    // Between half of it and all of it, so that what failed together is not tried together.
    expect(next_at.getTime()).toBeGreaterThanOrEqual(before + longest / 2)
    expect(next_at.getTime()).toBeLessThanOrEqual(api.now() + longest)
    expect(api.faults).toEqual([])
    api.passTime(longest)
  }
  await api.notifier.run()
  expect(await only()).toMatchObject({ status: 'failed', attempts: 16 })
  expect(api.now() - began).toBeGreaterThan(3_600_000)
  expect(api.faults).toHaveLength(1)
  api.passTime(86_400_000)
  await api.notifier.run()
  expect(at(path)).toHaveLength(16)
})

test('no answer asks to be left alone for longer than an hour', async () => {
  const { api, answers, revert } = world
  answers.set(path, { status: 429, headers: { 'retry-after': '999999999' } })
  await revert('profiles')
  await api.notifier.run()
  expect((await only()).next_at.getTime()).toBeLessThanOrEqual(api.now() + 3_600_000)
})

test('what a server was sending when it died is sent by another, and not before it must be dead', async () => {
  const { api, answers, at, revert, store } = world
  answers.set(path, { status: 503 })
  await revert('profiles')
  await api.notifier.run()
  answers.delete(path)
  api.passTime(1_000)
  // Taken, and never heard of again.
  expect(await takeDue(store.db, api.now(), 60_000)).toMatchObject({ attempts: 2 })
  await api.notifier.run()
  expect(at(path)).toHaveLength(1)
  api.passTime(60_000)
  await api.notifier.run()
  expect(at(path)).toHaveLength(2)
  expect(await only()).toMatchObject({ status: 'sent', attempts: 3 })
})

test('the end of an incident is told after its beginning, also where that does not arrive at first', async () => {
  const { api, answers, at, revert } = world
  const told = () => at(path).map(({ body }) => /switched back|is resolved/.exec(body.text)?.[0])
  answers.set(path, { status: 503 })
  await revert('profiles')
  await rearm()
  await api.notifier.run()
  expect(told()).toEqual(['switched back'])
  answers.delete(path)
  // The later one has been due all the time.
  await api.notifier.run()
  expect(told()).toEqual(['switched back'])
  api.passTime(1_000)
  await api.notifier.run()
  expect(told()).toEqual(['switched back', 'switched back', 'is resolved'])
})

test('an end whose beginning was given up is told all the same, and other incidents wait for nothing', async () => {
  const { api, answers, at, revert, store } = world
  answers.set(path, { status: 503 })
  await revert('profiles')
  await api.notifier.run()
  await rearm()
  answers.delete(path)
  await api.ramped('others')
  await revert('others')
  await api.notifier.run()
  expect(at(path).at(-1)?.body.text).toContain('others switched back')
  await store.db.query(`update notifications set status = 'failed' where status = 'pending' and attempts = 1`)
  await api.notifier.run()
  expect(at(path).at(-1)?.body.text).toContain('is resolved')
})

test('only what was given up is sent again by hand', async () => {
  const { api, at, call, revert } = world
  await revert('profiles')
  await api.notifier.run()
  const [sent] = (await call('get', '/v1/notifications')).body.notifications
  expect(sent.status).toBe('sent')
  expect((await call('post', `/v1/notifications/${sent.id}/retry`, {})).status).toBe(404)
  await api.notifier.run()
  expect(at(path)).toHaveLength(1)
})

test('a server that has been stopped takes nothing up any more', async () => {
  const { api, at, revert } = world
  await revert('profiles')
  await api.notifier.stop()
  await api.notifier.run()
  expect(at(path)).toEqual([])
})
