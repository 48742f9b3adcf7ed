import { type CopyMapping, definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ExecutionWorld, executionWorld, orderOf as order } from '../execution/execution-for-tests.ts'
import type { WorkProgress } from '../phases/phase-service.ts'

/** Rows, and how many of them one statement compares. */
const ROWS = 21_000
const COPY = { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio' } }
const profiles = (copy: Partial<Record<keyof CopyMapping, unknown>> = {}): MigrationDefinition =>
  definitionSchema.parse({ id: 'profiles', title: 'x', copy: { ...COPY, ...copy } })

let world: ExecutionWorld

beforeEach(async () => {
  world = await executionWorld('profiles')
  await world.pool.query(`create table users (id bigint primary key, bio text, live boolean default true);
    create table profiles (user_id bigint primary key, bio text);
    insert into users (id, bio) select i, 'bio ' || i from generate_series(1, ${ROWS}) i;
    insert into profiles select id, bio from users`)
})
afterEach(() => world.drop())

const verify = (...given: Parameters<typeof order>) => world.execution.run('verify', order(...given))

/** Verifies the first 10,000 rows and is called off. */
async function verifyPartly(definition: MigrationDefinition): Promise<void> {
  const stop = new AbortController()
  let chunks = 0
  const calledOff = verify(definition, {
    signal: stop.signal,
    heldBackBy: () => {
      chunks += 1
      if (chunks === 2) stop.abort()
      return undefined
    },
  })
  await expect(calledOff).rejects.toThrow('called off')
}

test('what was repaired before a crash is looked at again, though nothing differs there any more', async () => {
  const { pool } = world
  // One more than are repaired in a transaction: the last one waits for its key while the others are repaired.
  await pool.query(`update profiles set bio = 'wrong' where user_id <= 101`)
  const writer = await world.client()
  await writer.query(`begin; select switchback.lock_key('profiles', '101')`)
  const stop = new AbortController()
  const reports: WorkProgress[] = []
  const ended = expect(
    verify(profiles(), { signal: stop.signal, report: (p) => reports.push(p) }),
  ).rejects.toThrow('called off')
  await waitFor(async () => (await pool.query(`select from profiles where bio = 'wrong'`)).rowCount === 1, {
    what: 'a hundred keys to be repaired',
  })
  stop.abort()
  await ended
  await writer.query(`update profiles set bio = 'bio 101' where user_id = 101; commit`)
  expect(await verify(profiles())).toMatchObject({ divergences: 0, detail: { repaired: 0, passes: 2 } })
})

test('what was repaired in the last pass counts as divergent: it is not proven', async () => {
  const again = async () => {
    await world.pool.query(`update profiles set bio = 'wrong' where user_id = 17`)
    return undefined
  }
  expect(await verify(profiles(), { heldBackBy: again })).toMatchObject({
    divergences: 1,
    detail: { passes: 5, faults: [] },
  })
})

test('one row that cannot be repaired keeps no other from being repaired', async () => {
  await world.pool.query(`alter table profiles add check (bio <> 'bio 20') not valid;
    update profiles set bio = 'wrong' where user_id in (19, 21);
    delete from profiles where user_id = 20`)
  const { divergences, detail } = await verify(profiles())
  expect(divergences).toBe(1)
  expect(detail.faults).toEqual([{ key: '20', error: expect.stringContaining('check') }])
  expect(
    await world.rows('select user_id::int as id, bio from profiles where user_id between 19 and 21'),
  ).toEqual([
    { id: 19, bio: 'bio 19' },
    { id: 21, bio: 'bio 21' },
  ])
})

test.each([
  { what: 'another epoch', epoch: 4, copy: {} },
  { what: 'another mapping', epoch: 3, copy: { columns: { bio: 'upper(lower(bio))' } } },
])('what was compared in $what is not taken up', async ({ epoch, copy }) => {
  await world.pool.query('update users set bio = upper(bio); update profiles set bio = upper(bio)')
  await world.pool.query(`update profiles set bio = 'wrong' where user_id = 5`)
  await verifyPartly(profiles())
  await world.pool.query(`update profiles set bio = 'wrong' where user_id = 6`)
  expect(await verify(profiles(copy), { epoch })).toMatchObject({ divergences: 0, detail: { repaired: 1 } })
  expect(await world.rows(`select from profiles where bio = 'wrong'`)).toEqual([])
})

test('a row of new whose row of old the mapping leaves out is extra under its lock too, and goes', async () => {
  await world.pool.query('update users set live = false where id = 17')
  const { divergences, detail } = await verify(profiles({ where: 'live' }))
  expect(divergences).toBe(0)
  expect(detail).toMatchObject({ repaired: 1, mismatches: [{ key: '17', kind: 'extra' }] })
  expect(await world.rows('select from profiles where user_id = 17')).toEqual([])
})

test('a row that came to be in both while a repair waited for the row of new is not removed', async () => {
  const { pool } = world
  await pool.query('delete from users where id = 17')
  // Carried along by nothing but its own two statements: it holds no lock of the key.
  const writer = await world.client()
  await writer.query(`begin; insert into users values (17, 'again');
    update profiles set bio = 'again' where user_id = 17`)
  const reports: WorkProgress[] = []
  const running = verify(profiles(), { report: (p) => reports.push(p) })
  await waitFor(() => reports.some(({ throttledBy }) => throttledBy?.includes('backend')))
  await writer.query('commit')
  expect(await running).toMatchObject({ divergences: 0 })
  expect(await world.rows('select bio from profiles where user_id = 17')).toEqual([{ bio: 'again' }])
})
