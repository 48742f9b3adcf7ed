import { holdsOf, type Timing } from '@switchback/migrations-registry'
import { type TestStore, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestApi, testApi } from '../http/test-api.ts'
import { createTimingOf } from './timing-store.ts'

const DAY_MS = 86_400_000
const CONFIGURED: Record<string, Timing> = {
  main: { windows: ['daily 03:00-04:00 UTC'], freezes: [], load: { tps: 500, transactionAge: 60_000 } },
}

let store: TestStore
let api: TestApi
let auth: string

beforeEach(async () => {
  store = await testStore()
  api = testApi(store.db, { timing: CONFIGURED })
  auth = `Bearer ${await api.token('admin')}`
})
afterEach(async () => {
  await api.stop()
  await store.drop()
})

const day = (offset: number): string => new Date(api.now() + offset * DAY_MS).toISOString().slice(0, 10)
const put = async (name: string, body: object, authorization = auth) =>
  await request(api.app).put(`/v1/targets/${name}/timing`).set('Authorization', authorization).send(body)
const targets = async () =>
  (await request(api.app).get('/v1/targets').set('Authorization', auth)).body.targets

test('targets are those that are configured and those that migrations use, with what holds for each', async () => {
  await api.registered('m', 'target: reports\n')
  expect(await targets()).toMatchObject([
    {
      name: 'main',
      migrations: [],
      windows: [{ text: 'daily 03:00-04:00 UTC', from: 'configuration' }],
      load: { tps: 500, transactionAge: 60_000 },
    },
    { name: 'reports', migrations: ['m'], open: true, windows: [], freezes: [] },
  ])
})

test('a freeze that is set holds work back at once, beside what is configured, until it is taken back', async () => {
  const timingOf = createTimingOf(store.db, CONFIGURED)
  const freeze = `${day(-1)}..${day(1)} UTC`
  const { status, body } = await put('main', { windows: [], freezes: [freeze], reason: 'the big sale' })
  expect(status).toBe(200)
  expect(body).toMatchObject({
    open: false,
    windows: [{ from: 'configuration' }],
    freezes: [{ text: freeze, from: 'set', active: true }],
    set: { by: 'a admin', reason: 'the big sale' },
  })
  // Not before the freeze has ended, and then within the window.
  expect(body.opensAt).toBe(Date.parse(`${day(2)}T03:00:00Z`))
  expect(holdsOf(await timingOf('main'), api.now()).map(({ code }) => code)).toContain('freeze')
  await put('main', { windows: [], freezes: [], reason: 'the sale is over' })
  expect(holdsOf(await timingOf('main'), api.now()).map(({ code }) => code)).not.toContain('freeze')
  const { body: events } = await request(api.app).get('/v1/events?subject=main').set('Authorization', auth)
  expect(events.events.map(({ kind }: { kind: string }) => kind)).toEqual([
    'target.timing-set',
    'target.timing-set',
  ])
})

test('without a window it opens with the end of the freeze', async () => {
  await api.registered('m', 'target: reports\n')
  const freeze = `${day(-1)}..${day(1)} UTC`
  const { body } = await put('reports', { windows: [], freezes: [freeze], reason: 'x' })
  expect(body.opensAt).toBe(Date.parse(`${day(2)}T00:00:00Z`))
})

test.each([
  ['a window that is none', 'main', { windows: ['whenever'], freezes: [], reason: 'x' }, 400],
  [
    'a freeze that ends before it begins',
    'main',
    { windows: [], freezes: ['2026-12-24..2026-12-20 UTC'], reason: 'x' },
    400,
  ],
  ['no reason', 'main', { windows: [], freezes: [], reason: '' }, 400],
  ['a target that nobody knows', 'elsewhere', { windows: [], freezes: [], reason: 'x' }, 404],
])('%s is refused', async (_name, target, body, status) => {
  expect((await put(target, body)).status).toBe(status)
})

test('windows and freezes are set by admins', async () => {
  const operator = `Bearer ${await api.token('operator')}`
  expect((await put('main', { windows: [], freezes: [], reason: 'x' }, operator)).status).toBe(403)
})
