import { independent, pgTransaction, StaleEpochError } from '@switchback/sdk'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { waitFor } from '../support/index.ts'
import { configOf, raise, saveNew, saveOld } from './target.ts'
import { bios, routedTo, type TwoTargets, type Tx, twoTargets, waiting, wrapped } from './two-targets.ts'

let on: TwoTargets
beforeAll(async () => {
  on = await twoTargets()
})
afterAll(() => on.drop())
beforeEach(() => on.empty())

/** Kills the backend of a transaction, as a crash of its process would. */
const kill = async (of: pg.Pool, tx: Tx): Promise<void> => {
  const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
  await of.query('select pg_terminate_backend($1)', [rows[0]?.pid])
}
const lockWaiters = (pool: pg.Pool, count: number): Promise<boolean> =>
  waitFor(async () => {
    const { rows } = await pool.query(
      `select from pg_locks where locktype = 'advisory' and not granted
         and database = (select oid from pg_database where datname = current_database())`,
    )
    return rows.length >= count
  })
function hold() {
  let release = (): void => undefined
  let arrived = (): void => undefined
  const free = new Promise<void>((resolve) => {
    release = resolve
  })
  const reached = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const wait = (): Promise<void> => {
    arrived()
    return free
  }
  return { release, reached, wait }
}

describe('a write in independent mode', () => {
  it.each([
    ['old', { old: { a: 'x' }, new: {} }],
    ['dual-old', { old: { a: 'x' }, new: { a: 'x' } }],
    ['dual-new', { old: { a: 'x' }, new: { a: 'x' } }],
    ['new', { old: {}, new: { a: 'x' } }],
  ] as const)('reaches the paths of %s, and leaves no intent', async (variant, expected) => {
    const { migration, runtime } = routedTo(on, configOf(1, variant))
    await migration.write('a', 'x')
    expect(await bios(on)).toEqual(expected)
    await runtime.ledger.untilIdle()
    expect(await waiting(on)).toEqual([])
  })

  it.each([
    ['dual-old', 'new', 'old'],
    ['dual-new', 'old', 'new'],
  ] as const)(
    'of %s leaves an intent when it dies before %s is committed',
    async (variant, second, first) => {
      const port = wrapped(on[second].pool, (half) => ({
        commit: async () => {
          await kill(on[first].pool, half.tx)
          return half.commit()
        },
      }))
      const { migration, runtime, failures, recorder } = routedTo(on, configOf(3, variant), {
        ports: { [second]: port },
      })
      await migration.write("o'brien\\", 'x')
      await runtime.ledger.untilIdle()
      const written = { "o'brien\\": 'x' }
      expect(await bios(on)).toEqual({ old: {}, new: {}, [first]: written })
      expect(await waiting(on)).toEqual([
        { kind: 'intent', key: "o'brien\\", path: second, epoch: 3, in: first },
      ])
      expect(failures).toMatchObject([{ path: second, queued: true }])
      const cell = recorder.take()?.measurements.find(({ path }) => path === second)
      expect(cell).toMatchObject({ secondaryFailures: 1 })
    },
  )

  it('writes nothing when the leader cannot commit', async () => {
    const port = wrapped(on.old.pool, (half) => ({
      commitWithIntent: async (intent) => {
        await kill(on.new.pool, half.tx)
        return half.commitWithIntent(intent)
      },
    }))
    const { migration, runtime } = routedTo(on, configOf(1, 'dual-old'), { ports: { old: port } })
    await expect(migration.write('a', 'x')).rejects.toMatchObject({ code: 'commit-unknown' })
    expect(await bios(on)).toEqual({ old: {}, new: {} })
    expect(await waiting(on)).toEqual([])
    expect(runtime.ledger.idle).toBe(true)
  })

  it.each(['dual-old', 'dual-new'] as const)(
    'of %s queues the key when the other path fails',
    async (variant) => {
      const [first, second] = variant === 'dual-old' ? (['old', 'new'] as const) : (['new', 'old'] as const)
      const half = async (id: string, tx: Tx) => {
        await (second === 'new' ? saveNew : saveOld)(id, tx, 'half')
        return tx.query('select 1 / 0')
      }
      const { migration, failures } = routedTo(on, configOf(2, variant), {
        write: { old: saveOld, new: saveNew, [second]: half },
      })
      await migration.write('a', 'x')
      expect(await bios(on)).toEqual({ old: {}, new: {}, [first]: { a: 'x' } })
      expect(await waiting(on)).toEqual([{ kind: 'repair', key: 'a', path: second, epoch: 2, in: first }])
      expect(failures).toMatchObject([{ path: second, queued: true }])
    },
  )

  it('goes on, with its key queued, while the database of the other path is away', async () => {
    const away = new pg.Pool({ connectionString: 'postgres://nobody@127.0.0.1:1/none' })
    const { migration } = routedTo(on, configOf(2, 'dual-old'), { ports: { new: pgTransaction(away) } })
    await migration.write('a', 'x')
    expect(await bios(on)).toEqual({ old: { a: 'x' }, new: {} })
    expect(await waiting(on)).toEqual([{ kind: 'repair', key: 'a', path: 'new', epoch: 2, in: 'old' }])
    // Where the leader may be behind, only the database that is away knows for which keys.
    const careful = routedTo(on, configOf(2, 'dual-old', 'old', { guarded: ['old'] }), {
      ports: { new: pgTransaction(away) },
    })
    await expect(careful.migration.write('b', 'x')).rejects.toMatchObject({
      code: 'repair-conflict',
      retryable: true,
    })
    const promoted = routedTo(on, configOf(2, 'dual-new'), { ports: { old: pgTransaction(away) } })
    await expect(promoted.migration.write('b', 'x')).rejects.toMatchObject({ code: 'repair-conflict' })
    expect(await bios(on)).toEqual({ old: { a: 'x' }, new: {} })
    await away.end()
  })

  it.each(['leader', 'secondary'] as const)(
    "writes both or neither with 'fail' when the %s fails",
    async (who) => {
      const fails = () => Promise.reject(new Error(who))
      const { migration } = routedTo(on, configOf(1, 'dual-old'), {
        onSecondaryFailure: 'fail',
        write: { old: saveOld, new: saveNew, [who === 'leader' ? 'old' : 'new']: fails },
      })
      await expect(migration.write('a', 'x')).rejects.toThrow(who)
      expect(await bios(on)).toEqual({ old: {}, new: {} })
      expect(await waiting(on)).toEqual([])
    },
  )

  it('is refused by the fence of either database, and writes neither', async () => {
    const targets = await twoTargets()
    try {
      await raise(targets.new.pool, 5)
      const { migration, runtime } = routedTo(targets, configOf(4, 'dual-old'))
      await expect(migration.write('a', 'x')).rejects.toBeInstanceOf(StaleEpochError)
      runtime.apply(configOf(5, 'dual-old'))
      await migration.write('a', 'y')
      await raise(targets.old.pool, 6)
      await expect(migration.write('a', 'z')).rejects.toBeInstanceOf(StaleEpochError)
      expect(await bios(targets)).toEqual({ old: { a: 'y' }, new: { a: 'y' } })
      await runtime.ledger.untilIdle()
      expect(await waiting(targets)).toEqual([])
    } finally {
      await targets.drop()
    }
  })

  it('runs once more under the newer epoch after it was refused', async () => {
    const targets = await twoTargets()
    try {
      await raise(targets.old.pool, 2)
      await raise(targets.new.pool, 2)
      const { migration } = routedTo(targets, configOf(1, 'dual-old'), {
        newer: (runtime) => {
          // A client that closes now waits for the second attempt.
          expect(runtime.ledger.idle).toBe(false)
          runtime.apply(configOf(2, 'dual-new'))
          return true
        },
      })
      await migration.write('a', 'x')
      expect(await bios(targets)).toEqual({ old: { a: 'x' }, new: { a: 'x' } })
    } finally {
      await targets.drop()
    }
  })
})

describe('writes of one key', () => {
  it.each([
    ['dual-old', 'dual-old'],
    ['dual-old', 'dual-new'],
    ['dual-new', 'dual-old'],
    ['dual-new', 'dual-new'],
  ] as const)('do not overtake each other between the databases: %s, then %s', async (one, other) => {
    // The first has committed its leader, and not yet its other path.
    const gap = hold()
    const second = one === 'dual-old' ? 'new' : 'old'
    const slow = wrapped(on[second].pool, (half) => ({
      commit: async () => {
        await gap.wait()
        return half.commit()
      },
    }))
    const first = routedTo(on, configOf(1, one), { ports: { [second]: slow } })
    const late = routedTo(on, configOf(1, other))
    const writing = first.migration.write('a', 'first')
    await gap.reached
    const after = late.migration.write('a', 'last')
    try {
      await lockWaiters(on[second].pool, 1)
    } finally {
      gap.release()
      await Promise.all([writing, after])
    }
    expect(await bios(on)).toEqual({ old: { a: 'last' }, new: { a: 'last' } })
  })

  it('end equal in both databases under mixed leaders, and none waits for ever', async () => {
    const writers = [0, 1, 2, 3].map((i) => routedTo(on, configOf(1, i % 2 === 0 ? 'dual-old' : 'dual-new')))
    await Promise.all(
      writers.map(async ({ migration }, i) => {
        for (let n = 0; n < 40; n++) {
          const key = `k${(n * 7 + i) % 3}`
          if (n % 5 === i) await migration.remove(key)
          else await migration.write(key, `${i}.${n}`)
        }
      }),
    )
    await Promise.all(writers.map(({ runtime }) => runtime.ledger.untilIdle()))
    const found = await bios(on)
    expect(found.new).toEqual(found.old)
    expect(await waiting(on)).toEqual([])
  })
})

describe('a path that is behind', () => {
  /** Writes with this leader, and dies before the other path is committed. */
  const half = async (variant: 'dual-old' | 'dual-new', key: string, bio: string, epoch = 1) => {
    const [first, second] = variant === 'dual-old' ? (['old', 'new'] as const) : (['new', 'old'] as const)
    const port = wrapped(on[second].pool, (opened) => ({
      commit: async () => {
        await kill(on[first].pool, opened.tx)
        return opened.commit()
      },
    }))
    await routedTo(on, configOf(epoch, variant), { ports: { [second]: port } }).migration.write(key, bio)
  }

  it('is not served while it is guarded: a read is never older than an acknowledged write', async () => {
    const reader = routedTo(on, configOf(2, 'dual-old', 'new', { guarded: ['new'] }))
    await reader.migration.write('a', 'both')
    expect(await reader.migration.read('a')).toBe('both')
    await half('dual-old', 'a', 'old alone')
    expect(await reader.migration.read('a')).toBe('old alone')
    await half('dual-new', 'b', 'new alone')
    const back = routedTo(on, configOf(3, 'dual-old', 'old', { guarded: ['old'] }))
    expect(await back.migration.read('b')).toBe('new alone')
  })

  it('does not lead after the change of leader: the other one does, until it is repaired', async () => {
    await half('dual-old', 'a', 'old alone')
    const promoted = routedTo(on, configOf(2, 'dual-new', 'new', { guarded: ['new'] }))
    // It adds to what is there: led by new, it would add to what new does not have.
    const append = (table: string, key: string) => (id: string, tx: Tx, bio: string) =>
      tx.query(`update ${table} set bio = bio || $2 where ${key} = $1`, [id, bio])
    const adding = routedTo(on, configOf(2, 'dual-new', 'new', { guarded: ['new'] }), {
      write: { old: append('users', 'id'), new: append('user_profiles', 'user_id') },
    })
    await adding.migration.write('a', ', and more')
    await adding.runtime.ledger.untilIdle()
    expect(await bios(on)).toEqual({ old: { a: 'old alone, and more' }, new: {} })
    expect(await promoted.migration.read('a')).toBe('old alone, and more')
    // The crash is still open; the write after it has removed its own intent alone.
    expect(await waiting(on)).toEqual([{ kind: 'intent', key: 'a', path: 'new', epoch: 1, in: 'old' }])
    // And a death of this write leaves new behind too, never old.
    await half('dual-new', 'a', 'again', 2)
    expect(await waiting(on)).not.toContainEqual(expect.objectContaining({ path: 'old' }))
  })

  it('on both sides is written by nobody', async () => {
    await on.old.pool.query(`select switchback.queue_repair('user-profiles', 'a', 'new', 1, 'x')`)
    await on.new.pool.query(`select switchback.queue_repair('user-profiles', 'a', 'old', 1, 'x')`)
    const { migration } = routedTo(on, configOf(1, 'dual-old'))
    await expect(migration.write('a', 'x')).rejects.toMatchObject({
      code: 'repair-conflict',
      retryable: true,
    })
    expect(await bios(on)).toEqual({ old: {}, new: {} })
  })

  it('is found by shadow reads, and queued under the locks of both databases', async () => {
    const shadow = { sample: 1, concurrency: 4, timeout: 10_000 }
    const { migration, runtime, recorder } = routedTo(on, configOf(1, 'dual-old', 'old-shadow', { shadow }))
    await migration.write('a', 'x')
    await migration.write('b', 'x')
    await on.new.pool.query(`update user_profiles set bio = 'wrong' where user_id = 'a'`)
    await migration.read('a')
    await migration.read('b')
    await runtime.ledger.untilIdle()
    expect(await waiting(on)).toEqual([{ kind: 'repair', key: 'a', path: 'new', epoch: 1, in: 'old' }])
    const cell = recorder.take()?.measurements.find((m) => m.path === 'new' && m.operation === 'read')
    expect(cell).toMatchObject({ mismatches: 1, compared: 2 })
  })
})

describe('independent', () => {
  it('refuses one database given twice, and snapshots from before the lock of the key', () => {
    const port = pgTransaction(on.old.pool)
    expect(() => independent({ old: port, new: port })).toThrow('transaction mode')
    const repeatable = pgTransaction(on.new.pool, { isolation: 'repeatable read' })
    expect(() => independent({ old: port, new: repeatable })).toThrow('read committed')
  })

  it('reads committed whatever the database is set to', async () => {
    const pool = new pg.Pool({
      connectionString: on.new.url,
      options: '-c default_transaction_isolation=serializable',
    })
    let level: unknown
    const { migration } = routedTo(on, configOf(1, 'dual-old'), {
      ports: { new: pgTransaction(pool) },
      write: {
        old: saveOld,
        new: async (id, tx, bio) => {
          level = (await tx.query('show transaction_isolation')).rows[0]
          return saveNew(id, tx, bio)
        },
      },
    })
    await migration.write('a', 'x')
    expect(level).toEqual({ transaction_isolation: 'read committed' })
    await pool.end()
  })
})
