import { definitionSchema, type Throttle } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import type { WorkProgress } from '../phases/phase-service.ts'
import { restsAt } from './rests.ts'
import { createRateLimit } from './throttle.ts'
import type { ThrottlePorts } from './throttle-signals.ts'

const definition = definitionSchema.parse({
  id: 'throttled',
  title: 'x',
  copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, chunk: { min: 50, max: 50 } },
})
const ROWS = 500

let database: TestDatabase
let execution: Execution
const clients: pg.Client[] = []

async function client(url = database.url): Promise<pg.Client> {
  const opened = new pg.Client({ connectionString: url })
  await opened.connect()
  clients.push(opened)
  await opened.query('set search_path to public')
  return opened
}

const open = (url: string, signals: ThrottlePorts = {}): Execution =>
  createExecution({
    url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    signals,
  })

beforeEach(async () => {
  database = await testDatabase()
  const setup = await client()
  await setup.query(`create table old_t (id int primary key, v text); create table new_t (id int primary key, v text);
    insert into old_t select i, 'v' || i from generate_series(1, ${ROWS}) i`)
  execution = open(database.url)
})
afterEach(async () => {
  for (const opened of clients.splice(0)) await opened.end()
  await execution.end()
  await database.drop()
})

/** A backfill whose limits can be changed while it runs; collects what it said held it back. */
function start(limits: Throttle, on = execution) {
  let now = limits
  const reasons = new Set<string>()
  const done = on.run('backfill', {
    definition,
    sql: { expand: '' },
    epoch: 2,
    signal: new AbortController().signal,
    report: ({ throttledBy }: WorkProgress) => throttledBy !== undefined && reasons.add(throttledBy),
    heldBackBy: () => undefined,
    throttle: () => now,
    committing: async () => undefined,
  })
  return {
    done,
    heldBackBy: (reason: RegExp) =>
      waitFor(() => [...reasons].some((said) => reason.test(said)), { what: `${reason} in ${[...reasons]}` }),
    change: (next: Throttle) => {
      now = next
    },
  }
}

const copied = async (): Promise<number> => {
  const { rows } = await (await client()).query('select count(*)::int as n from new_t')
  return rows[0].n
}

test('a long transaction holds copying back until the limit is taken off', async () => {
  const other = await client()
  await other.query('begin; select pg_current_xact_id()')
  const backfill = start({ longTransaction: 1 })
  await backfill.heldBackBy(/^long transaction: .*above 1ms$/)
  expect(await copied()).toBe(0)
  backfill.change({})
  await backfill.heldBackBy(/^older transactions/)
  await other.query('rollback')
  expect((await backfill.done).detail).toMatchObject({ rows: ROWS })
})

test('sessions that wait for locks hold copying back', async () => {
  const [holder, waiter] = [await client(), await client()]
  await holder.query('select pg_advisory_lock(1)')
  const waiting = waiter.query('select pg_advisory_lock(1)')
  await waitFor(async () => {
    const { rows } = await holder.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rows.length === 1
  })
  const backfill = start({ lockWaits: 0 })
  await backfill.heldBackBy(/^lock waits: 1 sessions, above 0$/)
  expect(await copied()).toBe(0)
  await holder.query('select pg_advisory_unlock(1)')
  await waiting
  expect((await backfill.done).detail).toMatchObject({ rows: ROWS })
})

test('a vacuum of either table holds copying back', async () => {
  const vacuuming = await client()
  const other = await client()
  await other.query(`update old_t set v = repeat('x', 2000)`)
  // Slowed down to two pages in a second, so that it lasts until it is cancelled.
  await vacuuming.query('set vacuum_cost_delay = 100; set vacuum_cost_limit = 1')
  const vacuum = vacuuming.query('vacuum old_t').catch((error: { code?: string }) => error.code)
  await waitFor(async () => (await other.query('select from pg_stat_progress_vacuum')).rowCount)
  const backfill = start({ autovacuum: true })
  await backfill.heldBackBy(/^vacuum of .*old_t$/)
  expect(await copied()).toBe(0)
  await other.query(
    'select pg_cancel_backend(pid) from pg_stat_progress_vacuum where datname = current_database()',
  )
  expect(await vacuum).toBe('57014')
  expect((await backfill.done).detail).toMatchObject({ rows: ROWS })
})

test('the rate of WAL holds copying back while others write', async () => {
  const backfill = start({ walRate: 1 })
  const writer = await client()
  const writing = (async () => {
    let ended = false
    void backfill.done.finally(() => {
      ended = true
    })
    while (!ended) await writer.query(`update old_t set v = v where id = 1`)
  })()
  await backfill.heldBackBy(/^WAL rate: .*above 0.0 MB\/s$/)
  backfill.change({ walRate: 1e12 })
  expect((await backfill.done).detail).toMatchObject({ rows: ROWS })
  await writing
})

test("the application's p99 holds copying back, and so does not to know it", async () => {
  let p99: number | undefined = 80
  const measured = open(database.url, { latencyP99: async () => p99 })
  const backfill = start({ latencyP99: 50 }, measured)
  await backfill.heldBackBy(/^the application's p99: 80ms, above 50ms$/)
  p99 = undefined
  await backfill.heldBackBy(/^latencyP99 cannot be read: no measurement/)
  expect(await copied()).toBe(0)
  p99 = 20
  await backfill.done
  await measured.end()
})

test('what cannot be read holds copying back: no replica, no right to see others', async () => {
  const lagging = start({ replicationLag: 1000 })
  await lagging.heldBackBy(/^replicationLag cannot be read: no replica is connected$/)
  lagging.change({})
  await lagging.done

  const admin = await client()
  const role = `limited_${process.pid}`
  await admin.query(`create role ${role} login password 'x'; grant create on database ${admin.database} to ${role};
    grant all on schema public, switchback to ${role}; grant all on all tables in schema public, switchback to ${role};
    grant all on all sequences in schema switchback to ${role}; alter table new_t owner to ${role}`)
  const url = new URL(database.url)
  url.username = role
  url.password = 'x'
  const limited = open(url.href)
  const blind = start({ longTransaction: 60_000 }, limited)
  await blind.heldBackBy(new RegExp(`^longTransaction cannot be read: grant pg_read_all_stats to "${role}"$`))
  blind.change({})
  await blind.done
  await limited.end()
  await admin.query(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`)
})

test('rows above the limit of a second wait, and a limit that is taken off holds nobody', async () => {
  const now = 1_000_000
  let limit: number | undefined = 10
  const rate = createRateLimit({}, () => now, { rowsPerSecond: () => limit })
  const stop = new AbortController()
  // A second's worth is free; the next ten seconds' are taken at once, and whoever comes then has to wait.
  await rate.take(100, stop.signal)
  const waiting = rate.take(1, stop.signal)
  limit = undefined
  await rate.take(1_000_000, stop.signal)
  stop.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'work-stopped' })
})

test('rests as the pace asks of each of those who go through rows at the same time', async () => {
  const pace = { rowsPerSecond: 20_000, because: 'x' }
  const rate = createRateLimit({ pace: { now: () => pace, passed: () => {} } }, () => 0, {
    perRow: 4,
    workers: 2,
  })
  expect(rate.rests()).toEqual(restsAt(40_000))
  pace.rowsPerSecond = 0
  expect(rate.rests()).toBeUndefined()
  expect(createRateLimit({}, () => 0).rests()).toBeUndefined()
})

test('says by what rows were made to wait: the lowest of the limit and the pace', async () => {
  let now = 1_000_000
  const pace = { rowsPerSecond: 50, because: 'the application' }
  const passed: number[] = []
  const rate = createRateLimit(
    { pace: { now: () => pace, passed: (rows) => passed.push(rows) } },
    () => now,
    { rowsPerSecond: () => 100, perRow: 10 },
  )
  const stop = new AbortController()
  expect(rate.most()).toBe(50)
  await rate.take(100, stop.signal)
  expect(rate.because).toBeUndefined()
  now += 1
  const waiting = rate.take(100, stop.signal)
  expect(rate.because).toBe('rowsPerSecond: 100')
  pace.rowsPerSecond = 5
  const more = rate.take(100, stop.signal)
  expect(rate.because).toBe('the application')
  stop.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'work-stopped' })
  await expect(more).rejects.toMatchObject({ code: 'work-stopped' })
  now += 2_000
  expect(rate.because).toBeUndefined()
  // Ten of these cost as much as one that is copied.
  expect(passed).toEqual([10, 10, 10])
})
