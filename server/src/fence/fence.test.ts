import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'

let database: TestDatabase
let execution: Execution

const open = () =>
  createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
    fenceWaitMs: 300,
  })

beforeAll(async () => {
  database = await testDatabase()
  execution = open()
})
afterAll(async () => {
  await execution.end()
  await database.drop()
})

test('the fence is not there before it is prepared, and preparing may be done by many at once', async () => {
  expect(await execution.minimum('many')).toBe(0)
  expect(await execution.repairs('many')).toEqual({ old: 0, new: 0 })
  expect(await execution.failedRows('many')).toBe(0)
  const others = [open(), open(), open()]
  await Promise.all(
    [execution, ...others].flatMap((each) => [each.prepare('many'), each.prepare('many-more')]),
  )
  await Promise.all(others.map((each) => each.end()))
  expect(await execution.minimum('many')).toBe(0)
})

test('an id that is none never reaches SQL', async () => {
  await expect(execution.prepare(`x'; drop schema switchback; --`)).rejects.toThrow('not a migration id')
})

test('passing the fence waits for older transactions, names them, and lets newer ones through', async () => {
  await execution.prepare('fenced')
  const old = await database.pool.connect()
  const snapshot = await database.pool.connect()
  const fresh = await database.pool.connect()
  try {
    await old.query(`set application_name = 'rides-api'`)
    await snapshot.query('begin isolation level serializable')
    await snapshot.query('select count(*) from switchback.fences')
    await old.query('begin')
    await old.query(`select switchback."enter:fenced"(1, 'k')`)
    const first = await execution.passFence('fenced', 2)
    expect(first).toMatchObject({ passed: false, holders: [{ application: 'rides-api' }] })
    expect(await execution.minimum('fenced')).toBe(2)
    // A snapshot from before the minimum was raised does not slip past it.
    await expect(snapshot.query(`select switchback."enter:fenced"(1, 'k')`)).rejects.toMatchObject({
      code: 'SB001',
    })
    await fresh.query('begin')
    await fresh.query(`select switchback."enter:fenced"(2, 'other')`)
    const waiting = execution.passFence('fenced', 2)
    await old.query('commit')
    expect((await waiting).passed || (await execution.passFence('fenced', 2)).passed).toBe(true)
    await fresh.query('commit')
    await expect(old.query(`select switchback."enter:fenced"(1, 'k')`)).rejects.toMatchObject({
      code: 'SB001',
    })
    // Again, and an older one late: nothing is lowered.
    expect(await execution.passFence('fenced', 2)).toEqual({ passed: true })
    expect(await execution.passFence('fenced', 1)).toEqual({ passed: true })
    expect(await execution.minimum('fenced')).toBe(2)
    const { rows } = await database.pool.query(
      `select passed from switchback.fences where migration = 'fenced'`,
    )
    expect(rows).toEqual([{ passed: '2' }])
  } finally {
    await snapshot.query('rollback')
    for (const client of [old, snapshot, fresh]) client.release()
  }
})

test('whoever holds the record of the fence does not keep it from being passed', async () => {
  await execution.prepare('recorded')
  // As triggers are installed: under this lock, while writers are waited for.
  const installing = await database.pool.connect()
  try {
    await installing.query(`begin; select from switchback.fences where migration = 'recorded' for update`)
    expect(await execution.passFence('recorded', 2)).toEqual({ passed: true })
  } finally {
    await installing.query('rollback')
    installing.release()
  }
  // What could not be noted is passed once more, and noted.
  expect(await execution.passFence('recorded', 2)).toEqual({ passed: true })
  const { rows } = await database.pool.query(
    `select passed from switchback.fences where migration = 'recorded'`,
  )
  expect(rows).toEqual([{ passed: '2' }])
})

test('work that has taken every connection keeps nobody from asking the target or passing the fence', async () => {
  await execution.prepare('crowded')
  let letGo = (): void => undefined
  const free = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const crowd = Array.from({ length: 30 }, (_, i) =>
    execution.exclusively(`crowd-${i}`, () => free).catch(() => undefined),
  )
  try {
    const taken = `select from pg_locks where locktype = 'advisory' and granted and objsubid = 2 and objid = 0
      and database = (select oid from pg_database where datname = current_database())`
    await waitFor(async () => (await database.pool.query(taken)).rows.length >= 12)
    expect(await execution.repairs('crowded')).toEqual({ old: 0, new: 0 })
    expect(await execution.failedRows('crowded')).toBe(0)
    expect(await execution.passFence('crowded', 2)).toEqual({ passed: true })
    expect(await execution.minimum('crowded')).toBe(2)
  } finally {
    letGo()
    await Promise.all(crowd)
  }
})

test('there is one executor, and its signal is aborted when the connection of its lock breaks', async () => {
  const other = open()
  const aborted = await execution.exclusively('lonely', async (signal) => {
    expect(await other.exclusively('lonely', async () => 'both')).toBeUndefined()
    expect(await other.exclusively('another', async () => 'both')).toBe('both')
    await database.pool.query(
      `select pg_terminate_backend(l.pid) from pg_locks l
       where l.locktype = 'advisory' and l.classid = (hashtext('switchback executor lonely')::bigint & 4294967295)::oid
         and l.objid = 0 and l.granted`,
    )
    return waitFor(() => signal.aborted)
  })
  expect(aborted).toBe(true)
  expect(await other.exclusively('lonely', async () => 'free')).toBe('free')
  await other.end()
})
