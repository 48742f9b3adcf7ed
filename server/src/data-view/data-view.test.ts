import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, type TestStore, testDatabase, testStore } from '@switchback/test/support'
import request from 'supertest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { executionOn, openTarget } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import { type TestApi, testApi } from '../http/test-api.ts'
import type { Target } from '../target/target.ts'

const ROWS = 5_000
const FAULTY = '17'

let store: TestStore
let database: TestDatabase
let target: Target
let execution: Execution
let api: TestApi

const copy = { from: 'a', to: 'b', key: { id: 'id' }, columns: { x: 'x' }, chunk: { min: 50, max: 50 } }
const order: WorkOrder = {
  definition: definitionSchema.parse({ id: 'm', title: 'x', copy }),
  sql: { expand: '' },
  epoch: 2,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
}

beforeEach(async () => {
  ;[store, database] = await Promise.all([testStore(), testDatabase()])
  const { pool } = database
  // The role of the test server is named like our schema, which "$user" would find first.
  pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  await pool.query(`
    create table a (id int primary key, x text);
    insert into a select i, 'row ' || i from generate_series(1, ${ROWS}) i;
    create table b (id bigint primary key, x text check (x <> 'unfit'));
    update a set x = 'unfit' where id = ${FAULTY}`)
  target = openTarget({ url: database.url, log: { warn: () => undefined } })
  execution = executionOn(target, { archiveDir: '/nonexistent', clock: Date.now })
  api = testApi(store.db, { databasesOf: () => ({ old: target, new: target }) })
})
afterEach(async () => {
  await api.stop()
  await execution.end()
  await Promise.all([store.drop(), database.drop()])
})

const get = async (path: string, role: 'viewer' | 'operator' = 'viewer') =>
  await request(api.app)
    .get(`/v1/migrations/m/${path}`)
    .set('Authorization', `Bearer ${await api.token(role)}`)

test('before anything is copied there are no cells, and no repairs', async () => {
  await api.registered('m')
  expect((await get('chunks')).body).toEqual({})
  expect((await get('repairs')).body).toEqual({ total: 0, intents: 0, repairs: [] })
})

test('however many chunks a copy has, it is told in as many cells as are asked for, the row at fault in its own', async () => {
  await api.registered('m')
  await execution.run('backfill', order)
  for (const cells of [1, 7, 400]) {
    const { body } = await get(`chunks?cells=${cells}`)
    const { copy: found } = body
    expect(found).toMatchObject({ epoch: 2, total: ROWS, rows: ROWS - 1, failed: 1, done: found.chunks })
    expect(found.cells).toHaveLength(Math.min(cells, found.chunks))
    const sum = (name: string) =>
      found.cells.reduce((all: number, cell: Record<string, number>) => all + (cell[name] ?? 0), 0)
    expect([sum('chunks'), sum('rows'), sum('failed'), sum('open')]).toEqual([found.chunks, ROWS - 1, 1, 0])
    // The row that was given up took no time of its own.
    const timed = found.cells.filter(({ slowestMs }: { slowestMs?: number }) => slowestMs !== undefined)
    expect(timed.length).toBeGreaterThanOrEqual(found.cells.length - 1)
  }
  const { body } = await get('chunks?cells=400')
  const faulty = body.copy.cells.find(({ failed }: { failed: number }) => failed > 0)
  expect(faulty.upTo).toBe(FAULTY)
  expect((await get('chunks?cells=401')).status).toBe(400)
})

test('keys that wait for repair are listed with their age, the oldest first', async () => {
  await api.registered('m')
  await execution.prepare('m')
  await database.pool.query(`
    insert into switchback.repairs (migration, key, path, epoch, reason, queued_at, attempts, last_error) values
      ('m', '2', 'new', 3, 'the second write failed', now() - interval '1 minute', 0, null),
      ('m', '1', 'new', 3, 'a shadow read differed', now() - interval '1 hour', 4, 'b has no room'),
      ('other', '3', 'new', 3, 'of another', now() - interval '1 day', 0, null)`)
  const { body } = await get('repairs')
  expect(body).toMatchObject({
    total: 2,
    repairs: [
      { key: '1', path: 'new', attempts: 4, lastError: 'b has no room', settling: false },
      { key: '2', reason: 'the second write failed' },
    ],
  })
  expect(body.oldestAt).toBe(body.repairs[0].queuedAt)
  expect((await get('repairs?limit=1')).body).toMatchObject({ total: 2, repairs: [{ key: '1' }] })
})

test('one key is shown as it is on both paths, with what differs marked; for operators', async () => {
  await api.ramped('m')
  await database.pool.query(`insert into b values (1, 'row 1'), (2, 'other'), (90000, 'only new')`)
  const rows = async (key: string) => (await get(`rows?key=${key}`, 'operator')).body
  expect(await rows('1')).toMatchObject({
    present: { old: true, new: true },
    columns: [{ name: 'x', old: 'row 1', new: 'row 1', differs: false }],
  })
  expect((await rows('2')).columns).toEqual([{ name: 'x', old: 'row 2', new: 'other', differs: true }])
  expect(await rows('3')).toMatchObject({ present: { old: true, new: false }, columns: [{ differs: true }] })
  expect(await rows('90000')).toMatchObject({ present: { old: false, new: true } })
  expect(await rows('none')).toMatchObject({ code: 'invalid-request' })
  expect(await rows('1%1F2')).toMatchObject({ code: 'invalid-request' })
  expect((await get('rows?key=1')).status).toBe(403)
})

test('there is nothing to compare before new is there', async () => {
  await api.registered('m')
  const { status, body } = await get('rows?key=1', 'operator')
  expect([status, body.code]).toEqual([409, 'not-comparable'])
})

test('a dry run is kept for everybody, and said to be of older files once those are replaced', async () => {
  await database.pool.query('drop table b')
  await api.registered('m')
  expect((await get('dry-run')).body).toEqual({})
  const post = await request(api.app)
    .post('/v1/migrations/m/dry-run')
    .set('Authorization', `Bearer ${await api.token('operator')}`)
  expect(post.status).toBe(200)
  const { body } = await get('dry-run')
  expect(body.run).toMatchObject({ current: true, report: { ok: true, rollbackLeaves: [] } })
  expect(
    body.run.report.statements.map(({ file, seen }: { file: string; seen: boolean }) => [file, seen]),
  ).toEqual([
    ['expand', true],
    ['rollback', true],
    ['contract', true],
  ])
  const contract = body.run.report.statements.at(-1)
  expect(contract.locks).toEqual([expect.objectContaining({ mode: 'ACCESS EXCLUSIVE', new: false })])
  await store.db.query(`update dry_runs set checksum = 'of another text'`)
  expect((await get('dry-run')).body.run.current).toBe(false)
})

test('a target that cannot be read is told with what to see to', async () => {
  await api.registered('m')
  await target.query('create table c ()')
  const lost = testApi(store.db, {
    databasesOf: () => {
      throw new Error('no connection for the target "main": set TARGET_MAIN_URL')
    },
  })
  const { status, body } = await request(lost.app)
    .post('/v1/migrations/m/dry-run')
    .set('Authorization', `Bearer ${await lost.token('operator')}`)
  await lost.stop()
  expect([status, body.code]).toEqual([503, 'dry-run-failed'])
  expect(body.detail).toContain('TARGET_MAIN_URL')
})
