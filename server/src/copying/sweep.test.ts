import { definitionSchema } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld, orderOf } from '../execution/execution-for-tests.ts'
import { describeMapping } from '../mapping/mapping.ts'
import { createProgress } from '../target/progress.ts'
import { createTarget } from '../target/target.ts'
import { sweep } from './sweep.ts'

const definition = definitionSchema.parse({
  id: 'swept',
  title: 'x',
  copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, where: 'id % 10 <> 0' },
})
/** More than are looked at in one statement. */
const ROWS = 60_000
const COPIED = ROWS - ROWS / 10

let world: ExecutionWorld

beforeEach(async () => {
  world = await executionWorld('swept')
  await world.pool.query(`create table old_t (id int primary key, v text);
    create table new_t (id bigint primary key, v text);
    insert into old_t select i, 'v' from generate_series(1, ${ROWS}) i`)
})
afterEach(() => world.drop())

const unlike = () =>
  world.rows(`select o.id as old, n.id as new from (select * from old_t where id % 10 <> 0) o
    full join new_t n on n.id = o.id where o.id is null or n.id is null`)

test('rows that only new has are removed wherever they lie, more of them than old has rows, and no others', async () => {
  await world.pool.query(`
    insert into new_t select -i, 'before' from generate_series(1, 25000) i;
    insert into new_t select 3000000000 + i, 'beyond what a key of old can be' from generate_series(1, 45000) i;
    insert into new_t values (10, 'left out'), (50000, 'left out'), (59990, 'left out')`)
  const { detail } = await world.execution.run('backfill', orderOf(definition))
  expect(detail).toMatchObject({ rows: COPIED, failedRows: 0, swept: 70_003 })
  expect(await unlike()).toEqual([])
})

test('new may have fewer rows than fit into one piece, and old none', async () => {
  await world.pool.query(`truncate old_t; insert into new_t values (1, 'x'), (2, 'x')`)
  const { detail } = await world.execution.run('backfill', orderOf(definition))
  expect(detail).toMatchObject({ rows: 0, swept: 2 })
  expect(await unlike()).toEqual([])
})

test('no range is looked for by reading all of new, whatever the planner thinks of indexes', async () => {
  await world.pool.query(`insert into new_t select id, v from old_t where id % 10 <> 0;
    do $$ begin execute format('alter database %I set random_page_cost = 100000', current_database()); end $$`)
  const target = createTarget({ url: world.database.url, name: 'swept', onIdleError: () => undefined })
  const mapping = await describeMapping(target, definition)
  const progress = createProgress(() => undefined, Date.now)
  const deps = { target, workers: 1, clock: Date.now, random: Math.random, patienceMs: 1_000 }
  expect(await sweep(deps, orderOf(definition), mapping, progress, COPIED)).toBe(0)
  progress.end()
  // What a session has read is told of at its end at the latest.
  await target.end()
  await waitFor(async () => {
    const found = await world.rows(
      `select from pg_stat_user_indexes where relname = 'new_t' and idx_tup_read >= ${COPIED}`,
    )
    return found.length === 1
  })
  expect(
    await world.rows(`select seq_tup_read as read from pg_stat_user_tables where relname = 'new_t'`),
  ).toEqual([{ read: '0' }])
})
