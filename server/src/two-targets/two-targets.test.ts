import { definitionSchema } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Execution } from '../execution/execution-port.ts'
import {
  configOf,
  definition,
  dying,
  ID,
  input,
  order,
  rowsOf,
  slowInstance,
  somebodyWaits,
  type TwoDatabases,
  twoDatabases,
} from './two-databases-for-tests.ts'

const LINES = 'line\n"quoted", {brace} \\ 17'

let world: TwoDatabases
let old: pg.Pool
let fresh: pg.Pool
let execution: Execution

beforeEach(async () => {
  world = await twoDatabases()
  ;({ old, fresh, execution } = world)
})
afterEach(() => world.drop())

test('the new table may be in another database, and not in the same under two names', () => {
  expect(definition().copy?.toTarget).toBe('analytics')
  const result = definitionSchema.safeParse({ ...input(), target: 'analytics' })
  expect(result.error?.issues).toMatchObject([{ path: ['copy', 'toTarget'] }])
})

test('history is copied into the other database, what differs alone, and verified by checksums', async () => {
  await world.addUsers(2_345)
  const first = await execution.run('backfill', order())
  expect(first.detail).toMatchObject({ rows: 2_345, changed: 2_345, failedRows: 0 })
  expect(await world.equal()).toBe(2_345)
  await old.query(`update users set bio = 'newer' where id in (7, 8)`)
  const second = await execution.run('backfill', order({ epoch: 4 }))
  expect(second.detail).toMatchObject({ rows: 2_345, changed: 2 })
  expect(await execution.run('verify', order())).toMatchObject({
    divergences: 0,
    detail: { passes: 1, repaired: 0, compared: 2_345 },
  })
})

test('a copy that was interrupted goes on where its checkpoints say', async () => {
  await world.addUsers(3_000)
  const stop = new AbortController()
  const chunked = definition({ chunk: { target: '1ms', min: 100, max: 100 } })
  const running = execution.run(
    'backfill',
    order({
      definition: chunked,
      signal: stop.signal,
      report: ({ done }) => {
        if ((done ?? 0) > 300) stop.abort()
      },
      // One report is made with every change of what holds it back.
      heldBackBy: (() => {
        let asked = 0
        return () => (asked++ % 2 === 1 ? 'slowly' : undefined)
      })(),
    }),
  )
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  const outcome = await execution.run('backfill', order({ definition: chunked }))
  expect(outcome.detail).toMatchObject({ rows: 3_000, resumedAt: expect.any(Number) })
  expect(Number(outcome.detail.resumedAt)).toBeGreaterThan(300)
  expect(await world.equal()).toBe(3_000)
})

test('rows that the other database cannot hold are listed, and the rest is copied', async () => {
  await old.query('alter table users alter column code type text')
  await world.addUsers(300)
  await old.query(`update users set code = 'much too long' where id = 42`)
  const outcome = await execution.run('backfill', order())
  expect(outcome.detail).toMatchObject({ failedRows: 1 })
  expect(await execution.failedRows(ID)).toBe(1)
  expect(await rowsOf(fresh, 'select from profiles')).toHaveLength(299)
  await old.query(`update users set code = 'short' where id = 42`)
  expect((await execution.run('backfill', order())).detail).toMatchObject({ failedRows: 0, retriedRows: 1 })
  expect(await world.equal()).toBe(300)
})

test('verification finds each difference across the databases and repairs it from old', async () => {
  await world.addUsers(25_000)
  await execution.run('backfill', order())
  await fresh.query(`update profiles set bio = 'wrong' where user_id = 17;
    update profiles set bio = '' where user_id = 15; delete from profiles where user_id = 12345;
    insert into profiles values (30000, 'ghost', '[]', now()), (-5, 'ghost', '[]', now())`)
  const outcome = await execution.run('verify', order())
  expect(outcome).toMatchObject({ divergences: 0, detail: { passes: 2, repaired: 5 } })
  const { mismatches } = outcome.detail as { mismatches: { key: string; kind: string }[] }
  expect([...mismatches].sort((a, b) => Number(a.key) - Number(b.key))).toEqual([
    { key: '-5', kind: 'extra', columns: [] },
    { key: '15', kind: 'differs', columns: ['bio'], values: { bio: { old: null, new: '' } } },
    { key: '17', kind: 'differs', columns: ['bio'], values: { bio: { old: LINES, new: 'wrong' } } },
    { key: '12345', kind: 'missing', columns: [] },
    { key: '30000', kind: 'extra', columns: [] },
  ])
  expect(await world.equal()).toBe(25_000)
})

test('the way back brings old up to new, and empties what a wider table lost', async () => {
  await world.addUsers(500)
  await execution.run('backfill', order())
  await fresh.query(`update profiles set bio = 'new', code = 'x' where user_id <= 3;
    delete from profiles where user_id = 4;
    insert into profiles values (900, 'born in new', '[1]', '2026-01-01', 'born')`)
  const outcome = await execution.run('reverse-backfill', order())
  expect(outcome).toMatchObject({ divergences: 0, detail: { repaired: 5 } })
  expect(
    await rowsOf(
      old,
      'select id::int, name, bio, rtrim(code) as code from users where id in (1, 4, 900) order by id',
    ),
  ).toEqual([
    { id: 1, name: 'user 1', bio: 'new', code: 'x' },
    { id: 4, name: 'user 4', bio: null, code: null },
    { id: 900, name: 'nobody', bio: 'born in new', code: 'born' },
  ])
  expect(await execution.run('reverse-backfill', order())).toMatchObject({
    detail: { repaired: 0, passes: 1 },
  })
})

test('a range is locked in old until its rows are in new: a writer in between is not overwritten', async () => {
  await world.addUsers(50)
  // Holds the copy between its read of old and its commit in new.
  const blocker = await fresh.connect()
  await blocker.query(`begin; insert into profiles values (20, 'held', '[]', now())`)
  const copying = execution.run('backfill', order())
  await somebodyWaits(fresh)
  const { migration } = world.instance(configOf(3, 'dual-old'))
  const writing = migration.write('30', 'written meanwhile')
  await somebodyWaits(old)
  await blocker.query('rollback')
  blocker.release()
  await Promise.all([copying, writing])
  expect(await rowsOf(fresh, 'select bio from profiles where user_id = 30')).toEqual([
    { bio: 'written meanwhile' },
  ])
  expect(await execution.run('verify', order())).toMatchObject({ divergences: 0, detail: { repaired: 0 } })
})

test('copy, verification and repair beside hot writers and dying ones end with both equal', async () => {
  await world.addUsers(40)
  const writers = [
    world.instance(configOf(3, 'dual-old')),
    world.instance(configOf(3, 'dual-old')),
    world.instance(configOf(3, 'dual-old'), { new: dying(fresh) }),
  ]
  const stop = new AbortController()
  const traffic = writers.map(async ({ migration }, i) => {
    for (let n = 0; !stop.signal.aborted; n++) {
      const key = String(1 + ((n * 5 + i) % 12))
      if (n % 4 === i) await migration.remove(key)
      else await migration.write(key, `${i}.${n}`)
    }
  })
  const chunked = order({ definition: definition({ chunk: { target: '1ms', min: 3, max: 3 } }) })
  await execution.run('backfill', chunked)
  await execution.run('verify', chunked)
  stop.abort()
  await Promise.all(traffic)
  await Promise.all(writers.map(({ runtime }) => runtime.ledger.untilIdle()))
  await old.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
  await waitFor(async () => {
    await execution.repairSome(definition(), 100)
    return (await execution.repairs(ID)).new === 0
  })
  const text = (pool: string, key: string) => `select ${key}::text as key, bio from ${pool} order by ${key}`
  expect(await rowsOf(fresh, text('profiles', 'user_id'))).toEqual(await rowsOf(old, text('users', 'id')))
})

test('a write in progress is no difference: verification waits for it under the locks', async () => {
  await world.addUsers(5)
  await execution.run('backfill', order())
  const { migration, reached, letGo } = slowInstance(world, configOf(3, 'dual-old'))
  const writing = migration.write('3', 'half way')
  await reached
  const verifying = execution.run('verify', order())
  await somebodyWaits(fresh)
  letGo()
  await writing
  expect(await verifying).toMatchObject({ divergences: 0, detail: { repaired: 0, passes: 1 } })
})

test('passing the fence waits in both databases', async () => {
  const held = await fresh.connect()
  await held.query('begin')
  await held.query(`select switchback."enter:${ID}"(1, 'k')`)
  expect(await execution.passFence(ID, 2)).toMatchObject({
    passed: false,
    holders: [{ ageMs: expect.any(Number) }],
  })
  expect(await execution.minimum(ID)).toBe(2)
  await held.query('commit')
  held.release()
  expect(await execution.passFence(ID, 2)).toEqual({ passed: true })
  for (const pool of [old, fresh]) {
    await expect(pool.query(`select switchback."enter:${ID}"(1, 'k')`)).rejects.toMatchObject({
      code: 'SB001',
    })
  }
})

test('expand and rollback are about the database of new', async () => {
  const sql = { expand: 'create table extra (id int primary key)', rollback: 'drop table extra' }
  await execution.run('expand', order({ sql }))
  expect(await rowsOf(fresh, `select to_regclass('extra')::text as name`)).toEqual([{ name: 'extra' }])
  expect(await rowsOf(old, `select to_regclass('extra')::text as name`)).toEqual([{ name: null }])
  await execution.run('rollback', order({ sql, epoch: 4 }))
  expect(await rowsOf(fresh, `select to_regclass('extra')::text as name`)).toEqual([{ name: null }])
})
