import { definitionSchema } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld, numbers, orderOf } from '../execution/execution-for-tests.ts'
import type { Execution } from '../execution/execution-port.ts'

// Writers that know nothing of the migration: plain statements, on hot keys, no lock of theirs but the rows'.
const definition = definitionSchema.parse({
  id: 'unaware',
  title: 'x',
  writes: 'trigger',
  copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, chunk: { min: 8, max: 8 } },
})
const KEYS = 16
const WRITERS = 4
const ROUNDS = 5
const RETRIED = ['40001', '40P01']

let world: ExecutionWorld
let execution: Execution
const clients: pg.Client[] = []

beforeAll(async () => {
  world = await executionWorld('unaware')
  ;({ execution } = world)
  for (let i = 0; i < WRITERS; i++) {
    const client = await world.client()
    // Who writes old and who writes new may wait for each other: that is to be seen soon.
    await client.query("set deadlock_timeout = '20ms'")
    clients.push(client)
  }
  await world.pool.query('create table old_t (id int primary key, v text)')
  await world.pool.query('create table new_t (id bigint primary key, v text)')
})
afterAll(() => world.drop())

const order = (epoch: number) => orderOf(definition, { epoch })
const carry = (on: boolean) =>
  execution.carry(definition, on, { epoch: 1, signal: new AbortController().signal, tell: () => undefined })

async function write(client: pg.Client, table: string, level: string, next: (below: number) => number) {
  const key = next(KEYS)
  const [text, params] = (
    [
      [`delete from ${table} where id = $1`, [key]],
      [
        `insert into ${table} values ($1, $2) on conflict (id) do update set v = excluded.v`,
        [key, `v${next(1e6)}`],
      ],
      [`update ${table} set v = $2 where id = $1`, [key, `v${next(1e6)}`]],
    ] as const
  )[next(3)] ?? ['select', []]
  try {
    await client.query(`begin isolation level ${level}`)
    // The snapshot of a stricter level is taken before the write, as by a transaction that reads first.
    await client.query('select')
    await client.query(text, [...params])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    const { code = '' } = error as { code?: string }
    if (!RETRIED.includes(code)) throw error
  }
}

/** Runs `work` while all write, each the table that `tables` names for it. */
async function underWrites(
  seed: number,
  level: string,
  tables: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  let ended = false
  let writing = 0
  const writers = clients.map(async (client, i) => {
    const next = numbers(seed * 100 + i)
    for (let writes = 0; !ended || writes < 20; writes++) {
      if (writes === 2) writing += 1
      await write(client, tables[i % tables.length] ?? 'old_t', level, next)
    }
  })
  try {
    await waitFor(() => writing === WRITERS)
    await work()
  } finally {
    ended = true
    await Promise.all(writers)
  }
}

async function expectEqual(what: object): Promise<void> {
  const { rows } = await world.pool.query(
    `select o.id as old, n.id as new, o.v, n.v as w from old_t o full join new_t n using (id)
     where o.id is null or n.id is null or o.v <> n.v`,
  )
  const repairs = await world.pool.query('select key, path, reason from switchback.repairs')
  expect({ ...what, rows, repairs: repairs.rows }).toEqual({ ...what, rows: [], repairs: [] })
}

test.each(['read committed', 'repeatable read', 'serializable'])(
  'old and new are equal on the whole way there and back, whoever writes which, at %s',
  async (level) => {
    for (let round = 0; round < ROUNDS; round++) {
      await carry(false)
      await world.pool.query('truncate old_t, new_t')
      await world.pool.query(`insert into old_t select i, 'first' from generate_series(0, $1::int - 1) i`, [
        KEYS,
      ])
      const seed = round * 10 + level.length * 1000
      await underWrites(seed, level, ['old_t'], async () => {
        await carry(true)
        await execution.run('backfill', order(seed))
      })
      await expectEqual({ round, level, at: 'backfill' })
      // Clients of either version, side by side.
      await underWrites(seed + 1, level, ['old_t', 'new_t'], async () => {
        expect((await execution.run('verify', order(seed))).divergences).toBe(0)
      })
      await expectEqual({ round, level, at: 'promoted' })
      await underWrites(seed + 2, level, ['new_t'], async () => {
        await carry(false)
      })
      await underWrites(seed + 3, level, ['new_t'], async () => {
        await carry(true)
        expect((await execution.run('reverse-backfill', order(seed))).divergences).toBe(0)
      })
      await expectEqual({ round, level, at: 'back at promoted' })
    }
  },
  120_000,
)
