import { CommitUnknownError, type OpenTransaction, pgTransaction, runTransaction } from '@switchback/sdk'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestDatabase } from '../support/index.ts'
import { waitFor } from '../support/index.ts'
import { configOf, fencedTarget, repairs, routed, saveNew, saveOld, tables } from './target.ts'

const fails = (message: string) => (): Promise<never> => Promise.reject(new Error(message))

describe('a write in transaction mode', () => {
  let db: TestDatabase
  beforeAll(async () => {
    db = await fencedTarget()
  })
  afterAll(() => db.drop())
  beforeEach(() => db.pool.query('truncate users, user_profiles, switchback.repairs'))

  it.each([
    ['old', { old: { a: 'x' }, new: {} }],
    ['dual-old', { old: { a: 'x' }, new: { a: 'x' } }],
    ['dual-new', { old: { a: 'x' }, new: { a: 'x' } }],
    ['new', { old: {}, new: { a: 'x' } }],
  ] as const)('reaches the paths of %s', async (variant, expected) => {
    const { migration, runtime } = routed(db.pool, configOf(1, variant))
    await migration.write('a', 'x')
    expect(await tables(db.pool)).toEqual(expected)
    expect(runtime.ledger.idle).toBe(true)
  })

  it.each(['dual-old', 'dual-new'] as const)('of %s runs old before new', async (variant) => {
    // Two orders would deadlock with each other, and with the backfill.
    const order: string[] = []
    const noting =
      (path: string, save: typeof saveOld): typeof saveOld =>
      (id, tx, bio) => {
        order.push(path)
        return save(id, tx, bio)
      }
    const { migration } = routed(db.pool, configOf(1, variant), {
      write: { old: noting('old', saveOld), new: noting('new', saveNew) },
    })
    await migration.write('a', 'x')
    expect(order).toEqual(['old', 'new'])
  })

  it.each([
    ['dual-old', 'new'],
    ['dual-new', 'old'],
  ] as const)('of %s commits when %s fails, with its key queued for repair', async (variant, secondary) => {
    const broken = async (id: string, tx: Parameters<typeof saveOld>[1]): Promise<unknown> => {
      await tx.query('insert into users (id, bio) values ($1, $2) on conflict (id) do nothing', [
        `${id}-half`,
        '',
      ])
      return tx.query('select 1 / 0')
    }
    const { migration, failures, recorder } = routed(db.pool, configOf(1, variant), {
      write: { old: saveOld, new: saveNew, [secondary]: broken },
    })
    await migration.write("o'brien\\", 'x')
    const written = { "o'brien\\": 'x' }
    expect(await tables(db.pool)).toEqual({
      old: {},
      new: {},
      [secondary === 'new' ? 'old' : 'new']: written,
    })
    expect(await repairs(db.pool)).toMatchObject([{ key: "o'brien\\", path: secondary, epoch: 1 }])
    expect(failures).toMatchObject([{ path: secondary, queued: true }])
    const cell = recorder.take()?.measurements.find((m) => m.path === secondary)
    expect(cell).toMatchObject({ secondaryFailures: 1, errors: { '22012': 1 } })
  })

  it.each(['dual-old', 'dual-new'] as const)(
    'of %s leaves nothing when the leader fails',
    async (variant) => {
      const leader = variant === 'dual-old' ? 'old' : 'new'
      const { migration } = routed(db.pool, configOf(1, variant), {
        write: { old: saveOld, new: saveNew, [leader]: fails('leader') },
      })
      await expect(migration.write('a', 'x')).rejects.toThrow('leader')
      expect(await tables(db.pool)).toEqual({ old: {}, new: {} })
      expect(await repairs(db.pool)).toEqual([])
    },
  )

  it("writes both or neither with onSecondaryFailure 'fail'", async () => {
    const { migration } = routed(db.pool, configOf(1, 'dual-old'), {
      onSecondaryFailure: 'fail',
      write: { old: saveOld, new: fails('secondary') },
    })
    await expect(migration.write('a', 'x')).rejects.toThrow('secondary')
    expect(await tables(db.pool)).toEqual({ old: {}, new: {} })
    expect(await repairs(db.pool)).toEqual([])
  })

  it('sets no savepoint until the path that does not lead has failed, and one from then on', async () => {
    let healthy = true
    const runs: string[] = []
    const note =
      (path: string, save: typeof saveOld): typeof saveOld =>
      async (id, tx, bio) => {
        runs.push(`${path} ${id}`)
        if (path === 'new' && !healthy) throw new Error('down')
        return save(id, tx, bio)
      }
    const { migration, failures, recorder } = routed(db.pool, configOf(1, 'dual-old'), {
      write: { old: note('old', saveOld), new: note('new', saveNew) },
    })
    await migration.write('a', 'x')
    healthy = false
    await migration.write('b', 'x')
    await migration.write('c', 'x')
    // The one that met the failure ran again as a whole; the one after it was prepared.
    expect(runs).toEqual(['old a', 'new a', 'old b', 'new b', 'old b', 'new b', 'old c', 'new c'])
    expect(failures.map(({ key }) => key)).toEqual(['b', 'c'])
    expect(await repairs(db.pool)).toMatchObject([{ key: 'b' }, { key: 'c' }])
    expect(recorder.take()?.measurements.find(({ path }) => path === 'new')).toMatchObject({
      count: 3,
      secondaryFailures: 2,
    })
  })

  it('fails, retryable, where the other path of the key waits for repair already', async () => {
    const before = routed(db.pool, configOf(1, 'dual-old'), { write: { old: saveOld, new: fails('down') } })
    await before.migration.write('a', 'x')
    const after = routed(db.pool, configOf(1, 'dual-new'), { write: { old: fails('down'), new: saveNew } })
    await expect(after.migration.write('a', 'y')).rejects.toMatchObject({
      code: 'repair-conflict',
      retryable: true,
    })
    expect(await tables(db.pool)).toEqual({ old: { a: 'x' }, new: {} })
  })

  it('fails too where the other path was queued by a write that it has waited for, and cannot see', async () => {
    const { migration } = routed(db.pool, configOf(1, 'dual-new'), {
      port: { isolation: 'repeatable read' },
      write: { old: fails('down'), new: saveNew },
    })
    const earlier = await db.pool.connect()
    await earlier.query("begin; select switchback.lock_key('user-profiles', 'a')")
    const written = migration.write('a', 'y')
    await waitFor(async () => {
      const { rows } = await db.pool.query(
        "select 1 from pg_locks where locktype = 'advisory' and not granted",
      )
      return rows.length > 0
    })
    await earlier.query("select switchback.queue_repair('user-profiles', 'a', 'new', 1, 'down'); commit")
    earlier.release()
    await expect(written).rejects.toMatchObject({ code: 'repair-conflict', retryable: true })
    expect(await tables(db.pool)).toEqual({ old: {}, new: {} })
  })

  it('is refused when a handler hides a failed statement, since COMMIT would roll back', async () => {
    const hides: typeof saveNew = async (_, tx) => tx.query('select 1 / 0').catch(() => undefined)
    const { migration } = routed(db.pool, configOf(1, 'dual-old'), { write: { old: saveOld, new: hides } })
    await expect(migration.write('a', 'x')).rejects.toMatchObject({ code: 'transaction-aborted' })
    expect(await tables(db.pool)).toEqual({ old: {}, new: {} })
  })

  it('refuses a key with NUL, and gives the connection back', async () => {
    const { migration } = routed(db.pool, configOf(1, 'dual-old'))
    await expect(migration.write('a\0', 'x')).rejects.toMatchObject({ code: 'bad-key' })
    expect(db.pool.idleCount).toBe(db.pool.totalCount)
  })

  it('takes the lock of the key where the target has no fence in force', async () => {
    const { migration } = routed(db.pool, configOf(1, 'dual-old', 'old', { fenced: false }))
    const client = await db.pool.connect()
    await client.query('begin')
    await client.query("select switchback.lock_key('user-profiles', 'a')")
    const written = migration.write('a', 'x')
    await waitFor(async () => {
      const { rows } = await db.pool.query(
        "select 1 from pg_locks where locktype = 'advisory' and not granted",
      )
      return rows.length > 0
    })
    expect(await tables(db.pool)).toEqual({ old: {}, new: {} })
    await client.query('commit')
    client.release()
    await written
    expect(await tables(db.pool)).toEqual({ old: { a: 'x' }, new: { a: 'x' } })
  })

  it('goes on without a fence only under the defaults', async () => {
    await db.pool.query('alter schema switchback rename to gone')
    try {
      await routed(db.pool, configOf(0, 'old', 'old', { fenced: true })).migration.write('a', 'x')
      expect(await tables(db.pool)).toMatchObject({ old: { a: 'x' } })
      const later = routed(db.pool, configOf(3, 'old', 'old', { fenced: true }))
      await expect(later.migration.write('a', 'y')).rejects.toMatchObject({ code: '3F000' })
    } finally {
      await db.pool.query('alter schema gone rename to switchback')
    }
  })

  it('reports a commit whose outcome is unknown, and does not repeat it', async () => {
    let runs = 0
    let pid = 0
    const killed: typeof saveNew = async (id, tx, bio) => {
      runs++
      pid = ((await tx.query('select pg_backend_pid() as pid')).rows[0] as { pid: number }).pid
      return saveNew(id, tx, bio)
    }
    // Deferred to the commit: the backend is ended in the middle of it.
    await db.pool.query(`create function die() returns trigger language plpgsql as
      $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`)
    await db.pool.query(`create constraint trigger die after insert on user_profiles
      deferrable initially deferred for each row execute function die()`)
    try {
      const { migration, runtime } = routed(db.pool, configOf(1, 'dual-old'), {
        write: { old: saveOld, new: killed },
      })
      await expect(migration.write('a', 'x')).rejects.toBeInstanceOf(CommitUnknownError)
      expect(runs).toBe(1)
      expect(runtime.ledger.idle).toBe(true)
      const alive = 'select pid from pg_stat_activity where pid = $1'
      await waitFor(async () => (await db.pool.query(alive, [pid])).rows.length === 0)
    } finally {
      await db.pool.query('drop function die cascade')
    }
  })
})

describe('a transaction of several operations', () => {
  let db: TestDatabase
  beforeEach(async () => {
    db = await fencedTarget()
    return () => db.drop()
  })
  const fenced = { fenced: true }

  it('queues a failed secondary for repair and keeps the rest', async () => {
    const { migration, env, port } = routed(db.pool, configOf(1, 'dual-new', 'new', fenced), {
      write: {
        old: (id, tx, bio) => (id === 'b' ? Promise.reject(new Error('no')) : saveOld(id, tx, bio)),
        new: saveNew,
      },
    })
    await runTransaction(env, port, async (transaction: OpenTransaction) => {
      const profiles = migration.in(transaction)
      // Asked for at once: they run one after the other, or their savepoints would undo each other.
      await Promise.all([profiles.write('a', '1'), profiles.write('b', '2'), profiles.write('c', '3')])
      expect(await profiles.read('b')).toBe('2')
    })
    expect(await tables(db.pool)).toEqual({ old: { a: '1', c: '3' }, new: { a: '1', b: '2', c: '3' } })
    expect(await repairs(db.pool)).toMatchObject([{ key: 'b', path: 'old' }])
  })

  it('does not commit after an operation has failed, whatever the caller makes of it', async () => {
    const { migration, env, port } = routed(db.pool, configOf(1, 'dual-new', 'old', fenced), {
      write: { old: saveOld, new: fails('leader') },
    })
    const run = runTransaction(env, port, async (transaction: OpenTransaction) => {
      await migration
        .in(transaction)
        .write('a', 'x')
        .catch(() => undefined)
    })
    await expect(run).rejects.toMatchObject({ code: 'transaction-aborted' })
    expect(await tables(db.pool)).toEqual({ old: {}, new: {} })
  })

  it('refuses a migration of another target', async () => {
    const { migration, env } = routed(db.pool, configOf(1, 'old'))
    const run = runTransaction(env, pgTransaction(db.pool) as never, async (transaction: OpenTransaction) => {
      await migration.in(transaction).write('a', 'x')
    })
    await expect(run).rejects.toMatchObject({ code: 'bad-options' })
  })

  it('goes on without a fence under the defaults, inside the transaction too', async () => {
    await db.pool.query('alter schema switchback rename to gone')
    const { migration, env, port } = routed(db.pool, configOf(0, 'old', 'old', fenced))
    await runTransaction(env, port, async (transaction: OpenTransaction) => {
      await migration.in(transaction).write('a', 'x')
      await migration.in(transaction).write('b', 'y')
    })
    expect(await tables(db.pool)).toMatchObject({ old: { a: 'x', b: 'y' } })
  })
})

describe.each(['read committed', 'repeatable read', 'serializable'] as const)(
  'hot keys at %s',
  (isolation) => {
    let db: TestDatabase
    beforeEach(async () => {
      db = await fencedTarget()
      return () => db.drop()
    })

    it('end equal in both paths, with every acknowledged increment counted, while the leader changes', async () => {
      const add =
        (table: string, id: string): typeof saveOld =>
        (key, tx) =>
          tx.query(
            `insert into ${table} (${id}, n) values ($1, 1) on conflict (${id}) do update set n = ${table}.n + 1`,
            [key],
          )
      const options = {
        port: { isolation, retries: 50 },
        write: { old: add('users', 'id'), new: add('user_profiles', 'user_id') },
      }
      const oldLeads = routed(db.pool, configOf(1, 'dual-old', 'old', { fenced: true }), options)
      const newLeads = routed(db.pool, configOf(1, 'dual-new', 'old', { fenced: true }), options)
      // The order of leaders differs, the order of tables must not: two orders would deadlock.
      const writers = [oldLeads, newLeads, oldLeads, newLeads].map(async ({ migration }, writer) => {
        for (let i = 0; i < 15; i++) await migration.write(`key-${(i + writer) % 3}`, '')
      })
      await Promise.all(writers)
      const { rows } = await db.pool.query(
        'select id, u.n as old, p.n as new from users u full join user_profiles p on p.user_id = u.id order by 1',
      )
      expect(rows).toEqual(['key-0', 'key-1', 'key-2'].map((id) => ({ id, old: 20, new: 20 })))
      const { rows: deadlocks } = await db.pool.query(
        'select deadlocks::int from pg_stat_database where datname = current_database()',
      )
      expect(deadlocks).toEqual([{ deadlocks: 0 }])
    })
  },
)
