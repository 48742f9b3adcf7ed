import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openTarget } from '../execution/execution.ts'
import { pairExecutionOn } from './pair-execution.ts'
import { compareSampleFar } from './sample-far.ts'

const definition = definitionSchema.parse({
  id: 'profiles',
  title: 'x',
  copy: {
    from: 'public.users',
    to: 'public.profiles',
    toTarget: 'far',
    key: { id: 'id' },
    columns: { bio: 'bio' },
  },
})
let one: TestDatabase
let other: TestDatabase
let end: () => Promise<void>
let compare: () => ReturnType<typeof compareSampleFar>

beforeEach(async () => {
  one = await testDatabase()
  other = await testDatabase()
  const log = { warn: () => undefined }
  const targets = { old: openTarget({ url: one.url, log }), new: openTarget({ url: other.url, log }) }
  const execution = pairExecutionOn(targets, { archiveDir: '/nonexistent', clock: Date.now })
  end = execution.end
  compare = () => compareSampleFar(targets, definition, 100)
  await one.pool.query(
    `create table public.users as select i as id, 'bio ' || i as bio from generate_series(1, 40) i;
     alter table public.users add primary key (id)`,
  )
  await other.pool.query(
    `create table public.profiles as select i as id, 'bio ' || i as bio from generate_series(1, 40) i;
     alter table public.profiles add primary key (id)`,
  )
  await execution.prepare('profiles')
})
afterEach(async () => {
  await end()
  await one.drop()
  await other.drop()
})

test('a sample across two databases names what differs, but for what waits for repair', async () => {
  expect(await compare()).toEqual({ compared: 40, differing: [] })
  await other.pool.query(
    `update public.profiles set bio = 'x' where id in (3, 4); delete from public.profiles where id in (5, 6)`,
  )
  await one.pool.query(`select switchback.queue_repair('profiles', '4', 'new', 3, 'x')`)
  await other.pool.query(`select switchback.queue_repair('profiles', '6', 'old', 3, 'x')`)
  const { compared, differing } = await compare()
  expect([compared, [...differing].sort()]).toEqual([40, ['3', '5']])
})

test('a write that is half done is no difference: it is waited for', async () => {
  const writer = await one.pool.connect()
  try {
    // The SDK holds the key in the database of old until new is written too.
    await writer.query(`begin; select switchback.lock_key('profiles', '7')`)
    await other.pool.query(`update public.profiles set bio = 'half' where id = 7`)
    const comparing = compare()
    await waitFor(
      async () =>
        (await one.pool.query(`select from pg_locks where locktype = 'advisory' and not granted`))
          .rowCount === 1,
    )
    await other.pool.query(`update public.profiles set bio = 'bio 7' where id = 7`)
    await writer.query('commit')
    expect(await comparing).toEqual({ compared: 40, differing: [] })
  } finally {
    writer.release()
  }
})
