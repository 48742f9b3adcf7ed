import { definitionSchema } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld, numbers, orderOf } from '../execution/execution-for-tests.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'

const definition = definitionSchema.parse({
  id: 'hot-keys',
  title: 'x',
  copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, chunk: { min: 8, max: 8 } },
})
const KEYS = 24
const WRITERS = 5
const ROUNDS = 25

let world: ExecutionWorld
let execution: Execution
const clients: pg.Client[] = []

beforeAll(async () => {
  world = await executionWorld('hot-keys')
  ;({ execution } = world)
  for (let i = 0; i < WRITERS; i++) clients.push(await world.client())
  await world.pool.query('create table old_t (id int primary key, v text)')
  await world.pool.query('create table new_t (id int primary key, v text)')
})
afterAll(() => world.drop())

const order = (epoch: number, more: Partial<WorkOrder> = {}) => orderOf(definition, { epoch, ...more })

/** One guarded dual operation, as the SDK runs it. Returns the error that the application would have seen. */
async function dual(
  client: pg.Client,
  level: string,
  seed: (below: number) => number,
): Promise<string | undefined> {
  const key = seed(KEYS)
  const what = seed(3)
  const value = `v${seed(1_000_000)}`
  const statements: [string, string] =
    what === 0
      ? ['delete from old_t where id = $1', 'delete from new_t where id = $1']
      : [
          'insert into old_t values ($1, $2) on conflict (id) do update set v = excluded.v',
          'insert into new_t values ($1, $2) on conflict (id) do update set v = excluded.v',
        ]
  const params = what === 0 ? [key] : [key, value]
  try {
    await client.query(`begin isolation level ${level}; select switchback."enter:hot-keys"(1, '${key}')`)
    await client.query(statements[0], params)
    await client.query('savepoint other')
    await client.query(statements[1], params)
    await client.query('commit')
    return undefined
  } catch (error) {
    await client.query('rollback')
    return (error as { code?: string }).code
  }
}

test.each(['read committed', 'repeatable read', 'serializable'])(
  'old and new are equal after a backfill under dual writes at %s, with nothing repaired',
  async (level) => {
    const codes = new Map<string, number>()
    for (let round = 0; round < ROUNDS; round++) {
      await world.pool.query('truncate old_t, new_t')
      await world.pool.query(`insert into old_t select i, 'first' from generate_series(0, $1::int - 1) i`, [
        KEYS,
      ])
      const epoch = round + 10 + ['read committed', 'repeatable read', 'serializable'].indexOf(level) * 1000
      let copied = false
      let writing = 0
      const writers = clients.map(async (client, i) => {
        const seed = numbers(epoch * 100 + i)
        for (let writes = 0; !copied || writes < 5; writes++) {
          if (writes === 2) writing += 1
          const code = await dual(client, level, seed)
          if (code !== undefined) codes.set(code, (codes.get(code) ?? 0) + 1)
        }
      })
      await waitFor(() => writing === WRITERS)
      await execution.run('backfill', order(epoch))
      copied = true
      await Promise.all(writers)
      const { rows } = await world.pool.query(
        `select o.id as old, n.id as new, o.v, n.v as w from old_t o full join new_t n using (id)
         where o.id is null or n.id is null or o.v <> n.v`,
      )
      expect({ round, level, rows }).toEqual({ round, level, rows: [] })
    }
    // The application is never the victim of a deadlock with the copy.
    expect([...codes.keys()].filter((code) => code !== '40001')).toEqual([])
    if (level === 'read committed') expect(codes.size).toBe(0)
  },
  120_000,
)

test('the copy overwrites what differs: the leader wins', async () => {
  await world.pool.query(`truncate old_t, new_t; insert into old_t values (1, 'leads'), (2, 'same');
    insert into new_t values (1, 'behind'), (2, 'same')`)
  expect((await execution.run('backfill', order(5000))).detail).toMatchObject({ rows: 2, changed: 1 })
  expect((await world.pool.query('select v from new_t order by id')).rows).toEqual([
    { v: 'leads' },
    { v: 'same' },
  ])
})

test('the sweep spares a row that is written again while it looks', async () => {
  await world.pool.query(
    `truncate old_t, new_t; insert into new_t values (5, 'left behind'), (6, 'left behind')`,
  )
  const [writer] = clients
  if (writer === undefined) throw new Error('no writer')
  let stage = ''
  let inTheWay = false
  let ready = false
  const running = execution.run(
    'backfill',
    order(5001, {
      heldBackBy: () => (stage === 'sweeping' && !ready ? 'the test' : undefined),
      report: (progress) => {
        stage = progress.stage
        inTheWay ||= progress.throttledBy?.includes('backend') ?? false
      },
    }),
  )
  await waitFor(() => stage === 'sweeping')
  await writer.query(`begin; select switchback."enter:hot-keys"(1, '5'); insert into old_t values (5, 'again');
    insert into new_t values (5, 'again') on conflict (id) do update set v = excluded.v`)
  ready = true
  await waitFor(() => inTheWay)
  await writer.query('commit')
  expect((await running).detail).toMatchObject({ swept: 1 })
  expect((await world.pool.query('select id, v from new_t')).rows).toEqual([{ id: 5, v: 'again' }])
})
