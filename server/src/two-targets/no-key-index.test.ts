import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Difference } from '../comparing/compare.ts'
import { prove } from '../comparing/verify.ts'
import { type Key, keyText } from '../mapping/keyset.ts'
import { farDifferencesByHash, placesOf } from './compare-hashed.ts'
import { comparingFar } from './comparing-far.ts'
import { describeFarMapping, farPair } from './pair.ts'
import {
  configOf,
  definition,
  ID,
  order,
  rowsOf,
  type TwoDatabases,
  twoDatabases,
} from './two-databases-for-tests.ts'

// New calls the key a text: old has an index on the number, but none on its text.
const COPY = { key: { user_id: 'id::text' } }
const BY_HASH = /^checksums by hash/

let world: TwoDatabases
let old: pg.Pool
let fresh: pg.Pool

beforeEach(async () => {
  world = await twoDatabases()
  ;({ old, fresh } = world)
  await fresh.query('alter table profiles alter user_id type text')
})
afterEach(() => world.drop())

const work = () => order({ definition: definition(COPY) })

/** All paths as they are, keys as text in the order of their bytes. */
async function unequal(): Promise<unknown[]> {
  const has = new Map(
    (await rowsOf(old, 'select id::text as key, bio from users')).map((row) => {
      const { key, bio } = row as { key: string; bio: string | null }
      return [key, bio]
    }),
  )
  const rows = (await rowsOf(fresh, 'select user_id as key, bio from profiles')) as {
    key: string
    bio: string | null
  }[]
  const there = new Set(rows.map(({ key }) => key))
  return [
    ...rows.filter(({ key, bio }) => !has.has(key) || has.get(key) !== bio),
    ...[...has.keys()].filter((key) => !there.has(key)),
  ]
}

test.each([2_000, 40_000])(
  'how often %i rows are read does not depend on how many they are, to copy and to verify them',
  async (rows) => {
    await world.addUsers(rows)
    await old.query('analyze users')
    const chunked = definition({ ...COPY, chunk: { min: 500, max: 500 } })
    const copied = await world.scannedBy(async (other) => {
      const { detail } = await other.run('backfill', order({ definition: chunked }))
      expect(detail).toMatchObject({ rows, failedRows: 0 })
    })
    // Blocks are read by their places; what else there is counts rows, and looks for those without a key.
    expect(copied.old).toBeLessThan(12 * rows)
    const verified = await world.scannedBy(async (other) => {
      const outcome = await other.run('verify', work())
      expect(outcome).toMatchObject({
        divergences: 0,
        detail: { repaired: 0, passes: 1, method: expect.stringMatching(BY_HASH) },
      })
    })
    expect(verified.old).toBeLessThan(8 * rows)
    expect(verified.new).toBeLessThan(8 * rows)
  },
)

test('planted differences are found, all of them and no others, while instances write', async () => {
  await world.addUsers(20_000)
  await world.execution.run('backfill', work())
  // Of three kinds, in keys that no instance writes: those of its writers end on 0.
  await fresh.query(`update profiles set bio = 'wrong' where user_id::int % 100 = 1;
    delete from profiles where user_id::int % 100 = 3;
    insert into profiles select 'ghost ' || i, 'x', '[]', now() from generate_series(1, 200) i`)
  const stop = new AbortController()
  let writes = 0
  const writers = [0, 1].map(async (w) => {
    const { migration, runtime } = world.instance(configOf(3, 'dual-old'))
    for (let n = w; !stop.signal.aborted; n += 2) {
      const key = String(10 * (1 + ((n * 37) % 2_000)))
      if (n % 5 === 0) await migration.remove(key)
      else await migration.write(key, `write ${n}`)
      writes += 1
    }
    await runtime.ledger.untilIdle()
  })
  await waitFor(() => writes > 20)
  const { divergences, detail } = await world.execution.run('verify', work())
  const meanwhile = writes
  stop.abort()
  await Promise.all(writers)
  expect(meanwhile).toBeGreaterThan(50)
  expect(divergences).toBe(0)
  expect(detail).toMatchObject({ repaired: 600, passes: 2, method: expect.stringMatching(BY_HASH) })
  const { mismatches } = detail as { mismatches: { key: string; kind: string }[] }
  for (const { key, kind } of mismatches) {
    const planted = { '1': 'differs', '3': 'missing' }[key.slice(-2).replace(/^0/, '')] ?? 'extra'
    expect([key, kind]).toEqual([key, planted])
  }
  expect(await unequal()).toEqual([])
})

describe('where many rows differ', () => {
  const WRONG = 1_501
  const SIGNAL = new AbortController().signal
  const described = async () => {
    const { targets } = world
    return {
      targets,
      pair: await farPair(targets, await describeFarMapping(targets, definition(COPY)), 'old'),
    }
  }

  beforeEach(async () => {
    await world.addUsers(3_000)
    await world.execution.run('backfill', work())
    await fresh.query(`update profiles set bio = 'wrong' where user_id::int % 2 = 0;
      delete from profiles where user_id = '77'`)
  })

  test.each([1, 4, 16])('they are told a part at a time, each once, in %i slices', async (of) => {
    const { targets, pair } = await described()
    const found: Difference[] = []
    let parts = 0
    for (let rest = 0; rest < of; rest++) {
      const { after, upTo } = placesOf({ rest, of })
      for (let from: Key | undefined = after, ended = false; !ended; parts++) {
        const part = await farDifferencesByHash(targets, pair, { after: from, upTo }, of, 200)
        expect(part.found.length).toBeLessThanOrEqual(200)
        found.push(...part.found)
        ended = part.upTo === upTo
        from = part.upTo
      }
    }
    expect(parts).toBeGreaterThan(7)
    expect(found).toHaveLength(WRONG)
    expect(new Set(found.map(({ key }) => keyText(key))).size).toBe(WRONG)
  })

  test('they are repaired a part at a time, and what is looked at again is looked at to its end', async () => {
    const { targets, pair } = await described()
    const way = comparingFar(targets, pair, SIGNAL, 400)
    const [slice] = await way.slices()
    if (slice === undefined) throw new Error('there is no slice')
    const upTo = ['9000000000000000000']
    const whole = await targets.old.connection((on) =>
      way.compare(on, slice, { after: undefined, upTo }, 100),
    )
    expect(whole.upTo).toEqual(upTo)
    expect(whole.found.length).toBeGreaterThan(0.9 * WRONG)
    const patience = { clock: Date.now, random: () => 0, patienceMs: 10_000 }
    const { divergences, detail } = await prove({ ...patience, target: targets.old }, work(), async () => way)
    expect({ divergences, detail }).toMatchObject({ divergences: 0, detail: { repaired: WRONG, passes: 2 } })
    // As many parts in each pass, and each of them a range of its own.
    expect(detail.chunks).toBeGreaterThanOrEqual(8)
    expect(await unequal()).toEqual([])
  })
})

test('no older transaction is waited for: routed writes across databases are at READ COMMITTED', async () => {
  await world.addUsers(100)
  await world.execution.run('backfill', work())
  await fresh.query(`delete from profiles where user_id = '7'`)
  const older = await old.connect()
  await older.query('begin isolation level repeatable read; select count(*) from users')
  const stages = new Set<string>()
  const outcome = await world.execution.run(
    'verify',
    order({ definition: definition(COPY), report: ({ stage }) => void stages.add(stage) }),
  )
  await older.query('rollback')
  older.release()
  expect(outcome).toMatchObject({ divergences: 0, detail: { repaired: 1, passes: 2 } })
  expect([...stages]).not.toContain('waiting for older transactions')
})

test('keys of text that sort differently are looked up by the index that there is', async () => {
  await old.query('alter table users alter id drop identity if exists, alter id type text')
  await fresh.query('alter table profiles alter user_id type text collate "C"')
  await old.query(`insert into users (id, name, bio)
    select 'Käufer ' || i, repeat('x', 500), 'b' || i from generate_series(1, 20000) i`)
  await old.query('analyze users')
  await world.execution.run('backfill', order())
  await fresh.query(`update profiles set bio = 'wrong' where right(user_id, 2) = '77'`)
  const { old: scanned } = await world.scannedBy(async (other) => {
    expect(await other.run('verify', order())).toMatchObject({
      divergences: 0,
      detail: { repaired: 200, method: expect.stringMatching(BY_HASH) },
    })
  })
  // Two batches of keys would have scanned it several times each.
  expect(scanned).toBeLessThan(8 * 20_000)
})

test('what is equal looks equal where the databases write it in other bytes', async () => {
  const latin = await twoDatabases('LATIN1')
  try {
    await latin.old.query('alter table users alter id drop default, alter id type text')
    await latin.fresh.query('alter table profiles alter user_id type text')
    await latin.old.query(`insert into users (id, bio) values ('Käufer', 'größer'), ('Zoë', 'naïve')`)
    expect((await latin.execution.run('backfill', order())).detail).toMatchObject({ rows: 2, failedRows: 0 })
    const proven = { divergences: 0, detail: { repaired: 0, sample: { differing: 0 } } }
    expect(await latin.execution.run('verify', order())).toMatchObject(proven)
    expect(await latin.execution.run('reverse-backfill', order())).toMatchObject(proven)
  } finally {
    await latin.drop()
  }
})

test('a verification that was called off goes on where it was, also across databases', async () => {
  await fresh.query('alter table profiles alter user_id type bigint using user_id::bigint')
  await world.addUsers(25_000)
  await world.execution.run('backfill', order())
  await fresh.query('delete from profiles where user_id = 15000')
  const stop = new AbortController()
  let chunks = 0
  const running = world.execution.run(
    'verify',
    order({
      signal: stop.signal,
      heldBackBy: () => {
        chunks += 1
        if (chunks === 3) stop.abort()
        return undefined
      },
    }),
  )
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  await fresh.query('delete from profiles where user_id = 5000')
  // The first chunk was clean and is not looked at again; the second is, since something was repaired there.
  expect(await world.execution.run('verify', order())).toMatchObject({
    divergences: 0,
    detail: { repaired: 1, passes: 2 },
  })
  expect(await rowsOf(fresh, 'select from profiles where user_id = 5000')).toEqual([])
  expect(await world.execution.run('verify', order())).toMatchObject({ detail: { repaired: 1 } })
  expect(await rowsOf(old, `select from switchback.verifications where migration = '${ID}'`)).toEqual([])
})
