import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestDatabase } from '../support/index.ts'
import { waitFor } from '../support/index.ts'
import { configOf, fencedTarget, readNew, readOld, repairs, routed, saveNew, saveOld } from './target.ts'

const sampled = { shadow: { sample: 1, concurrency: 4, timeout: 5_000 } }

let db: TestDatabase
beforeAll(async () => {
  db = await fencedTarget()
})
afterAll(() => db.drop())
beforeEach(() => db.pool.query('truncate users, user_profiles, switchback.repairs'))

describe('a read of a guarded path', () => {
  const broken = () => Promise.reject(new Error('down'))

  it('is served from the other path while its key waits for repair, and from its own again afterwards', async () => {
    const ramp = configOf(1, 'dual-old', 'new', { fenced: true, guarded: ['new'] })
    const { migration } = routed(db.pool, ramp, { write: { old: saveOld, new: broken } })
    await saveNew('a', db.pool, 'stale')
    await migration.write('a', 'fresh')
    expect(await migration.read('a')).toBe('fresh')
    await db.pool.query("update user_profiles set bio = 'repaired'")
    await db.pool.query('truncate switchback.repairs')
    expect(await migration.read('a')).toBe('repaired')
  })

  it('of old is served from new after a revert from promoted', async () => {
    await saveOld('a', db.pool, 'stale')
    const promoted = configOf(1, 'dual-new', 'new', { fenced: true, guarded: ['new'] })
    const { migration, runtime } = routed(db.pool, promoted, { write: { old: broken, new: saveNew } })
    await migration.write('a', 'fresh')
    runtime.apply(configOf(2, 'dual-old', 'old', { fenced: true, guarded: ['old'] }))
    expect(await migration.read('a')).toBe('fresh')
  })

  it('does not ask where both or neither are written', async () => {
    const { migration } = routed(db.pool, configOf(1, 'dual-old', 'new', { guarded: ['new'] }), {
      onSecondaryFailure: 'fail',
    })
    await saveNew('a', db.pool, 'mine')
    await db.pool.query("select switchback.queue_repair('user-profiles', 'a', 'new', 1, 'test')")
    expect(await migration.read('a')).toBe('mine')
  })
})

describe('a shadow read', () => {
  const shadowing = configOf(1, 'dual-old', 'old-shadow', { fenced: true, ...sampled })

  it('that differs twice counts, and its key is queued for repair of the path that does not lead', async () => {
    await saveOld('a', db.pool, 'x')
    await saveNew('a', db.pool, 'y')
    const { migration, runtime, recorder } = routed(db.pool, shadowing)
    expect(await migration.read('a')).toBe('x')
    await runtime.ledger.untilIdle()
    expect(await repairs(db.pool)).toMatchObject([{ key: 'a', path: 'new', epoch: 1 }])
    expect(recorder.totals().find((cell) => cell.path === 'new' && cell.operation === 'read')).toMatchObject({
      compared: 1,
      mismatches: 1,
    })
    // It reached no caller; what was served counts apart.
    const told = recorder.take()?.measurements ?? []
    expect(told.map(({ path, count, shadow }) => ({ path, count, shadow }))).toEqual(
      expect.arrayContaining([
        { path: 'old', count: 1, shadow: undefined },
        { path: 'new', count: 1, shadow: { count: 1, failed: 0 } },
      ]),
    )
  })

  it('whose difference is gone at the second look does not count', async () => {
    await saveOld('a', db.pool, 'x')
    await saveNew('a', db.pool, 'x')
    let reads = 0
    const { migration, runtime, recorder } = routed(db.pool, shadowing, {
      read: { old: readOld, new: async (id, tx) => (reads++ === 0 ? 'between two writes' : readNew(id, tx)) },
    })
    await migration.read('a')
    await runtime.ledger.untilIdle()
    expect(reads).toBe(2)
    expect(recorder.totals().find((cell) => cell.path === 'new' && cell.operation === 'read')).toMatchObject({
      compared: 1,
      mismatches: 0,
    })
    expect(await repairs(db.pool)).toEqual([])
  })

  it('does not queue a key that is equal at the last look, under its lock', async () => {
    await saveOld('a', db.pool, 'x')
    let reads = 0
    const { migration, runtime } = routed(db.pool, shadowing, {
      read: { old: readOld, new: async (id, tx) => (++reads === 3 ? readOld(id, tx) : undefined) },
    })
    await migration.read('a')
    await runtime.ledger.untilIdle()
    expect(reads).toBe(3)
    expect(await repairs(db.pool)).toEqual([])
  })

  it('that fails or hangs is nobody else’s matter', async () => {
    await saveOld('a', db.pool, 'x')
    const failing = routed(db.pool, shadowing, {
      read: { old: readOld, new: () => Promise.reject(new Error('no')) },
    })
    expect(await failing.migration.read('a')).toBe('x')
    await failing.runtime.ledger.untilIdle()
    expect(
      failing.recorder
        .totals()
        .find((cell) => cell.path === 'new')
        ?.errors?.get('Error'),
    ).toBe(1)
    expect(failing.recorder.take()?.measurements.find(({ path }) => path === 'new')).toMatchObject({
      count: 1,
      shadow: { count: 1, failed: 1 },
    })

    const hanging = routed(
      db.pool,
      configOf(1, 'dual-old', 'old-shadow', { shadow: { ...sampled.shadow, timeout: 20 } }),
      {
        read: { old: readOld, new: () => new Promise(() => undefined) },
      },
    )
    expect(await hanging.migration.read('a')).toBe('x')
    // The hanging comparison keeps its epoch from draining only until its time is over.
    expect(hanging.runtime.ledger.position(0).oldest?.kind).toBe('compare')
    await waitFor(() => hanging.runtime.ledger.idle)
    expect(hanging.runtime.shadowDropped).toBe(1)
  })

  it('is left out where as many as allowed are under way', async () => {
    let started = 0
    const { migration, runtime } = routed(db.pool, shadowing, {
      read: { old: readOld, new: () => new Promise(() => void started++) },
    })
    await Promise.all(Array.from({ length: 10 }, () => migration.read('a')))
    expect(started).toBe(4)
    expect(runtime.shadowDropped).toBe(6)
  })
})
