import { initialState, judgeGate, type MigrationState } from '@switchback/migrations-registry'
import type pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Execution } from '../execution/execution-port.ts'
import { createTargetFacts } from '../phases/target-facts.ts'
import {
  configOf,
  definition,
  dying,
  ID,
  order,
  rowsOf,
  slowInstance,
  type TwoDatabases,
  twoDatabases,
} from './two-databases-for-tests.ts'

let world: TwoDatabases
let old: pg.Pool
let fresh: pg.Pool
let execution: Execution

beforeEach(async () => {
  world = await twoDatabases()
  ;({ old, fresh, execution } = world)
})
afterEach(() => world.drop())

test.each([
  ['dual-old', 'new'],
  ['dual-new', 'old'],
] as const)(
  'an intent of %s that is left over shows at the gate and is repaired',
  async (variant, behind) => {
    await world.addUsers(3)
    await execution.run('backfill', order())
    const ports = behind === 'new' ? { new: dying(fresh) } : { old: dying(old) }
    await world.instance(configOf(5, variant), ports).migration.write('2', 'acknowledged')
    const none = { old: 0, new: 0 }
    expect(await execution.repairs(ID)).toEqual({ ...none, [behind]: 1 })
    // Of the present epoch and a moment old it may be a write in progress; of a passed one it cannot be.
    expect(await execution.repairs(ID, { path: behind, epoch: 5 })).toEqual(none)
    expect(await execution.repairs(ID, { path: behind, epoch: 6 })).toEqual({ ...none, [behind]: 1 })
    // The path that leads is not written second: its intents are left over whatever their age.
    const leads = behind === 'new' ? 'old' : 'new'
    expect(await execution.repairs(ID, { path: leads, epoch: 5 })).toEqual({ ...none, [behind]: 1 })
    // Not touched before its time: nothing is done, and nothing forgotten.
    expect(await execution.repairSome(definition(), 10)).toBe(0)
    const home = behind === 'new' ? old : fresh
    await home.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
    expect(await execution.repairs(ID, { path: behind, epoch: 5 })).toEqual({ ...none, [behind]: 1 })
    expect(await execution.repairSome(definition(), 10)).toBe(1)
    expect(await execution.repairs(ID)).toEqual(none)
    expect(await rowsOf(old, 'select bio from users where id = 2')).toEqual([{ bio: 'acknowledged' }])
    expect(await rowsOf(fresh, 'select bio from profiles where user_id = 2')).toEqual([
      { bio: 'acknowledged' },
    ])
  },
)

test('the gate names what a death between the databases left, and opens when it is repaired', async () => {
  await world.addUsers(3)
  await execution.run('backfill', order())
  const facts = createTargetFacts(
    () => execution,
    () => undefined,
  )
  const begun = initialState(ID, 0)
  const state: MigrationState = { ...begun, phase: 'shadow', epoch: 5, complete: { old: true, new: true } }
  const migration = {
    definition: definition(),
    sql: { expand: '' },
    source: '',
    checksum: '',
    state,
    revision: 1,
    compared: true,
  }
  const blockers = async () =>
    judgeGate(migration.definition, state, {
      now: 1,
      instances: [],
      repairs: await facts.repairs(migration),
      failedRows: await facts.failedRows(migration),
      hasContractSql: false,
      dependencies: [],
    }).blockers.map(({ code, subject, message }) => ({ code, subject, message }))
  expect(await blockers()).toEqual([])
  // Under the epoch before: whoever wrote it cannot be at it any more.
  await world.instance(configOf(4, 'dual-old'), { new: dying(fresh) }).migration.write('2', 'acknowledged')
  expect(await blockers()).toEqual([
    { code: 'repairs-open', subject: 'new', message: '1 keys of new wait for repair.' },
  ])
  await old.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await blockers()).toEqual([])
})

test('a repair waits for a write in progress, which holds the key in the other database', async () => {
  await world.addUsers(1)
  await execution.run('backfill', order())
  const { migration, runtime, reached, letGo } = slowInstance(world, configOf(5, 'dual-old'))
  const writing = migration.write('1', 'slow')
  await reached
  // Taken for dead, though it is not.
  await old.query(`update switchback.intents set written_at = written_at - interval '1 minute'`)
  expect(await execution.repairSome(definition(), 10)).toBe(0)
  expect(await execution.repairs(ID)).toEqual({ old: 0, new: 1 })
  letGo()
  await writing
  await runtime.ledger.untilIdle()
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await execution.repairs(ID)).toEqual({ old: 0, new: 0 })
  expect(await rowsOf(fresh, 'select bio from profiles')).toEqual([{ bio: 'slow' }])
})

test.each(['old', 'new'] as const)('a repair waits for whoever holds the key in %s alone', async (path) => {
  await world.addUsers(1)
  await old.query(`select switchback.queue_repair('${ID}', '1', 'new', 3, 'x')`)
  const holder = await (path === 'old' ? old : fresh).connect()
  await holder.query(`begin; select switchback.lock_key('${ID}', '1')`)
  expect(await execution.repairSome(definition(), 10)).toBe(0)
  await holder.query('rollback')
  holder.release()
  expect(await execution.repairSome(definition(), 10)).toBe(1)
})

test('a repair whose copy cannot be committed stays queued', async () => {
  await world.addUsers(1)
  await execution.run('backfill', order())
  // Fails when the database of new commits: what says that it is behind must not be gone by then.
  await fresh.query(`create function refuse() returns trigger language plpgsql as $$ begin
      raise exception 'refused at commit'; end $$;
    create constraint trigger refuse after update on profiles deferrable initially deferred
      for each row execute function refuse()`)
  await old.query(
    `update users set bio = 'ahead'; select switchback.queue_repair('${ID}', '1', 'new', 3, 'x')`,
  )
  expect(await execution.repairSome(definition(), 10)).toBe(0)
  expect(await execution.repairs(ID)).toEqual({ old: 0, new: 1 })
  expect(await rowsOf(old, 'select attempts, last_error from switchback.repairs')).toEqual([
    { attempts: 1, last_error: 'refused at commit' },
  ])
  await fresh.query('drop trigger refuse on profiles')
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await rowsOf(fresh, 'select bio from profiles')).toEqual([{ bio: 'ahead' }])
})

test('a key of which each path is behind is not copied either way', async () => {
  await world.addUsers(2)
  await execution.run('backfill', order())
  await old.query(`select switchback.queue_repair('${ID}', '1', 'new', 3, 'x')`)
  await fresh.query(`select switchback.queue_repair('${ID}', '1', 'old', 3, 'x')`)
  await old.query(`select switchback.queue_repair('${ID}', 'no number', 'new', 3, 'x')`)
  await old.query(`select switchback.queue_repair('${ID}', '2', 'new', 3, 'x')`)
  expect(await execution.repairSome(definition(), 10)).toBe(1)
  expect(await execution.repairs(ID)).toEqual({ old: 1, new: 2 })
  expect(await rowsOf(old, 'select key, attempts, last_error from switchback.repairs order by key')).toEqual([
    { key: '1', attempts: 1, last_error: expect.stringContaining('each path is behind') },
    { key: 'no number', attempts: 1, last_error: expect.stringContaining('bigint') },
  ])
})
