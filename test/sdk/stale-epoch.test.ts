import { type OpenTransaction, runTransaction, StaleEpochError } from '@switchback/sdk'
import { beforeEach, describe, expect, it } from 'vitest'
import type { TestDatabase } from '../support/index.ts'
import { configOf, fencedTarget, raise, routed, saveNew, saveOld, tables } from './target.ts'

describe('a write of an epoch that has passed', () => {
  let db: TestDatabase
  beforeEach(async () => {
    db = await fencedTarget()
    await raise(db.pool, 5)
    return () => db.drop()
  })
  const fenced = { fenced: true }

  it('is refused by the target, and repeated once under the epoch that is heard of', async () => {
    const seen: number[] = []
    const old: typeof saveOld = (id, tx, bio) => {
      seen.push(runtime.ledger.applied)
      return saveOld(id, tx, bio)
    }
    const { migration, runtime } = routed(db.pool, configOf(4, 'old', 'old', fenced), {
      write: { old, new: saveNew },
      newer: (of) => {
        // Nothing of the old epoch is in flight while it is waited for.
        expect(of.ledger.position(0)).toEqual({ applied: 4, drained: 4 })
        of.apply(configOf(5, 'dual-old', 'old', fenced))
        return true
      },
    })
    await migration.write('a', 'x')
    expect(seen).toEqual([5])
    expect(await tables(db.pool)).toEqual({ old: { a: 'x' }, new: { a: 'x' } })
  })

  it('fails, retryable, where no newer epoch is heard of', async () => {
    const { migration } = routed(db.pool, configOf(4, 'old', 'old', fenced))
    const failure = await migration.write('a', 'x').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StaleEpochError)
    expect(failure).toMatchObject({
      code: 'stale-epoch',
      retryable: true,
      migration: 'user-profiles',
      epoch: 4,
    })
    expect(await tables(db.pool)).toEqual({ old: {}, new: {} })
  })

  it('fails when the epoch heard of has passed as well', async () => {
    const { migration } = routed(db.pool, configOf(3, 'old', 'old', fenced), {
      newer: (of) => {
        of.apply(configOf(4, 'old', 'old', fenced))
        return true
      },
    })
    await expect(migration.write('a', 'x')).rejects.toBeInstanceOf(StaleEpochError)
  })

  it('is waited for between its attempts when the client closes', async () => {
    const idle: boolean[] = []
    const { migration, runtime } = routed(db.pool, configOf(4, 'old', 'old', fenced), {
      newer: (of) => {
        idle.push(of.ledger.idle)
        of.apply(configOf(5, 'dual-old', 'old', fenced))
        return true
      },
    })
    await migration.write('a', 'x')
    expect([...idle, runtime.ledger.idle]).toEqual([false, true])
  })

  it('takes a transaction of several operations with it, which runs again as a whole', async () => {
    const { migration, env, port, runtime } = routed(db.pool, configOf(4, 'old', 'old', fenced), {
      newer: (of) => {
        of.apply(configOf(5, 'dual-old', 'old', fenced))
        return true
      },
    })
    await runTransaction(env, port, async (transaction: OpenTransaction) => {
      await migration.in(transaction).write('a', 'x')
      // Under another epoch meanwhile, the transaction keeps the one that it began with.
      runtime.apply(configOf(6, 'new', 'new', fenced))
      expect(runtime.ledger.drained).toBe(5)
      await migration.in(transaction).write('b', 'y')
    })
    expect(runtime.ledger.drained).toBe(6)
    expect(await tables(db.pool)).toEqual({ old: { a: 'x', b: 'y' }, new: { a: 'x', b: 'y' } })
  })
})
