import { type ApplicationLatency, definitionSchema, type Throttle } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import type { WorkProgress } from '../phases/phase-service.ts'
import { createTarget } from '../target/target.ts'
import { backfill } from './backfill.ts'
import type { ThrottlePorts } from './throttle-signals.ts'

const ROWS = 30_000
const definition = definitionSchema.parse({
  id: 'paced',
  title: 'x',
  copy: {
    from: 'old_t',
    to: 'new_t',
    key: { id: 'id' },
    columns: { v: 'v' },
    chunk: { min: 5_000, max: 5_000 },
  },
})
const CALM: readonly ApplicationLatency[] = [{ kind: 'reads of old', p99: 2, count: 1_000 }]

let database: TestDatabase
const executions: Execution[] = []

const open = (name: string, latencies?: ThrottlePorts['latencies']): Execution => {
  const execution = createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    name,
    workers: 1,
    ...(latencies === undefined ? {} : { signals: { latencies } }),
  })
  executions.push(execution)
  return execution
}

/** An order; collects what is said to hold it back. */
function order(throttle: Throttle = {}) {
  const reasons = new Set<string>()
  const now = { throttle }
  const work: WorkOrder = {
    definition,
    sql: { expand: '' },
    epoch: 5,
    signal: new AbortController().signal,
    report: ({ throttledBy }: WorkProgress) => throttledBy !== undefined && reasons.add(throttledBy),
    heldBackBy: () => undefined,
    throttle: () => now.throttle,
    committing: async () => undefined,
  }
  const heldBackBy = (reason: RegExp) =>
    waitFor(() => [...reasons].some((said) => reason.test(said)), { what: `${reason} in ${[...reasons]}` })
  return { work, reasons, heldBackBy, now }
}

const checkpoints = async (worker: string) => {
  const { rows } = await database.pool.query<{ rows: number }>(
    'select rows::int as rows from switchback.checkpoints where worker like $1 and done order by id',
    [`${worker}/%`],
  )
  return rows.map((row) => row.rows)
}

beforeEach(async () => {
  database = await testDatabase()
  // The role of the test server is named like our schema, which "$user" would find first.
  database.pool.options.onConnect = (client) =>
    client.query('set search_path to public').then(() => undefined)
  await database.pool.query(`create table old_t (id int primary key, v text);
    create table new_t (id int primary key, v text);
    insert into old_t select i, 'v' || i from generate_series(1, ${ROWS}) i`)
})
afterEach(async () => {
  for (const execution of executions.splice(0)) await execution.end()
  await database.drop()
})

it('copies in statements that rest beside an application that is measured', async () => {
  const { work } = order()
  const { detail } = await open('one', async () => CALM).run('backfill', work)
  expect(detail).toMatchObject({ rows: ROWS })
  const copied = await checkpoints('one')
  expect(Math.max(...copied)).toBe(2_000)
})

it('rests within the statements of the copy and of the sweep', async () => {
  let rowsPerSecond = 100
  let stage = ''
  const stop = new AbortController()
  const target = createTarget({ url: database.url, name: 'resting', onIdleError: () => undefined })
  try {
    await open('one').prepare(definition.id)
    const deps = { target, clock: Date.now, random: Math.random, workers: 1, name: 'one', patienceMs: 1_000 }
    const running = backfill(deps, {
      ...order().work,
      signal: stop.signal,
      pace: { now: () => ({ rowsPerSecond, because: 'the test' }), passed: () => undefined },
      report: (progress) => {
        if (progress.stage === 'sweeping' && stage !== 'sweeping') rowsPerSecond = 100
        stage = progress.stage
      },
    })
    const resting = async (wanted: string) => {
      await waitFor(() => stage === wanted, { what: wanted })
      await waitFor(
        async () =>
          (
            await database.pool.query(
              `select from pg_stat_activity where wait_event = 'PgSleep' and application_name = 'resting'`,
            )
          ).rowCount === 1,
        { what: `a rest while ${wanted}` },
      )
    }
    await resting('copying')
    rowsPerSecond = 1e9
    await resting('sweeping')
    stop.abort()
    await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  } finally {
    await target.end()
  }
})

it('goes through what was written meanwhile at the pace, too, however little that is', async () => {
  const { work } = order()
  const writer = await database.pool.connect()
  // As the copy finds it, of a transaction that has not ended.
  await writer.query(`begin; update old_t set v = 'late' where id = 5`)
  const again: string[] = []
  const running = open('one', async () => CALM).run('backfill', {
    ...work,
    report: ({ stage, throttledBy }) => {
      if (stage.startsWith('looking again') && throttledBy !== undefined) again.push(throttledBy)
      if (stage.startsWith('waiting for older')) writer.query('commit').catch(() => undefined)
    },
  })
  await running
  writer.release()
  const { rows } = await database.pool.query<{ n: number }>(
    'select count(*)::int as n from switchback.checkpoints where part = 1',
  )
  expect(rows[0]?.n).toBe(ROWS / 2_000)
  expect(again).toContainEqual(expect.stringMatching(/20000 rows a second$/))
  expect((await database.pool.query('select v from new_t where id = 5')).rows).toEqual([{ v: 'late' }])
})

it.each([
  ['nothing was measured', async () => [], {}],
  ['the factor was taken off', async () => CALM, { latencyFactor: null }],
] as const)('goes as fast as it can where %s', async (_, latencies, throttle) => {
  const { work, reasons } = order(throttle)
  await open('one', latencies).run('backfill', work)
  expect(Math.max(...(await checkpoints('one')))).toBe(5_000)
  expect([...reasons].filter((reason) => /rows a second/.test(reason))).toEqual([])
})

it('is held back by a factor that somebody asked for and nobody can measure', async () => {
  const { work, heldBackBy, now } = order({ latencyFactor: 1.5 })
  const done = open('one', async () => []).run('backfill', work)
  await heldBackBy(/^latencyFactor cannot be read: no measurement of the application has come lately$/)
  expect(await checkpoints('one')).toEqual([])
  now.throttle = {}
  await done
})

it('tells the pace to the processes that help', async () => {
  const leading = open('one', async () => CALM)
  const done = leading.run('backfill', order().work)
  await waitFor(async () => (await checkpoints('one')).length > 0)
  // It measures nothing itself.
  expect(await open('other').assist(order().work)).toBe(true)
  await done
  const copied = await checkpoints('other')
  expect(copied.length).toBeGreaterThan(0)
  expect(Math.max(...copied)).toBeLessThanOrEqual(2_000)
})

it('leaves off helping where whoever led tells no pace any more', async () => {
  const leading = open('one', async () => CALM)
  const stop = new AbortController()
  const done = leading.run('backfill', { ...order().work, signal: stop.signal })
  await waitFor(async () => (await checkpoints('one')).length > 0)
  stop.abort()
  await expect(done).rejects.toMatchObject({ code: 'work-stopped' })
  await database.pool.query(
    `update switchback.copies set pace = '{"rowsPerSecond": 0, "because": "a rest"}', paced_at = now() - interval '1 minute'`,
  )
  expect(await open('other').assist(order().work)).toBe(true)
  expect(await checkpoints('other')).toEqual([])
})
