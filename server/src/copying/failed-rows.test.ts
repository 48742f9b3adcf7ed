import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'

/** `POISONED_ROWS=1000000 npx vitest run server/src/copying/failed-rows.test.ts` for the long run. */
const ROWS = Number(process.env.POISONED_ROWS ?? 100_000)
/** Which rows are at fault, and how. */
const POISON = { constraint: [11, 50_000, ROWS - 1], encoding: [4_242, 4_243], overflow: [1, 77_777] }

let database: TestDatabase
let execution: Execution

const definition = (copy: object = {}) =>
  definitionSchema.parse({
    id: 'poisoned',
    title: 'x',
    copy: {
      from: 'readings',
      to: 'measures',
      key: { id: 'id' },
      columns: { place: `convert_from(place, 'UTF8')`, level: 'level', quality: 'quality' },
      ...copy,
    },
  })

const order = (of: WorkOrder['definition']): WorkOrder => ({
  definition: of,
  sql: { expand: '' },
  epoch: 2,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
})

beforeEach(async () => {
  database = await testDatabase()
  const { pool } = database
  // The role of the test server is named like our schema, which "$user" would find first.
  pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  await pool.query(`
    create table readings (id int primary key, place bytea not null, level int not null, quality int not null);
    insert into readings select i, convert_to('place ' || i, 'UTF8'), i % 1000, i % 7 from generate_series(1, ${ROWS}) i;
    create table measures (id bigint primary key, place text, level smallint, quality int check (quality >= 0))`)
  execution = createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
  })
})
afterEach(async () => {
  await execution.end()
  await database.drop()
})

test(`of ${ROWS} rows exactly the seven at fault are listed, each with its error; all others are copied`, async () => {
  const { pool } = database
  await pool.query('update readings set quality = -1 where id = any($1)', [POISON.constraint])
  await pool.query(`update readings set place = '\\xff00' where id = any($1)`, [POISON.encoding])
  await pool.query('update readings set level = 40000 where id = any($1)', [POISON.overflow])
  const { detail } = await execution.run('backfill', order(definition()))
  expect(detail).toMatchObject({ failedRows: 7 })
  const listed = await execution.listFailedRows('poisoned', { limit: 100 })
  const states = Object.fromEntries(listed.map(({ key, sqlstate }) => [key, sqlstate]))
  expect(states).toEqual(
    Object.fromEntries([
      ...POISON.constraint.map((id) => [id, '23514']),
      ...POISON.encoding.map((id) => [id, '22021']),
      ...POISON.overflow.map((id) => [id, '22003']),
    ]),
  )
  const missing = await pool.query(
    'select array_agg(id order by id) as ids from readings r where not exists (select from measures m where m.id = r.id)',
  )
  expect(missing.rows[0].ids).toEqual(
    Object.values(POISON)
      .flat()
      .sort((a, b) => a - b),
  )
  // Page by page the same.
  const [first, second] = await execution.listFailedRows('poisoned', { limit: 2 })
  const rest = await execution.listFailedRows('poisoned', { limit: 100, after: second?.key ?? '' })
  expect([first, second, ...rest]).toEqual(listed)

  await pool.query(`update readings set quality = 0, level = 0, place = 'mended' where id = any($1)`, [
    Object.values(POISON).flat(),
  ])
  expect((await execution.run('backfill', order(definition()))).detail).toMatchObject({ failedRows: 0 })
  expect(await execution.run('verify', order(definition()))).toMatchObject({
    divergences: 0,
    detail: { compared: ROWS, repaired: 0 },
  })
})

test('more than the set share of failed rows stops the job, and says why', async () => {
  await database.pool.query('update readings set quality = -1 where id % 1000 = 1')
  await expect(execution.run('backfill', order(definition({ stopAbove: '0.05%' })))).rejects.toMatchObject({
    code: 'too-many-failed-rows',
    message: expect.stringMatching(new RegExp(`more than 0.05% of ${ROWS} .*violates check constraint`)),
  })
  expect((await execution.listFailedRows('poisoned', { limit: 1000 })).length).toBeLessThan(
    ROWS * 0.0005 + 10,
  )
})
