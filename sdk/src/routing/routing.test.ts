import {
  defaultConfig,
  type MigrationConfig,
  type Path,
  READ_ROUTES,
  READ_VARIANTS,
  readVariantFor,
  WRITE_ROUTES,
  WRITE_VARIANTS,
} from '@switchback/migrations-registry'
import { describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../clock.ts'
import { createLease } from '../session/lease.ts'
import { createRecorder } from '../telemetry/recorder.ts'
import { createMigration, runtimeOptionsOf, type UntypedOptions } from './create-migration.ts'
import { MigrationRuntime } from './migration-runtime.ts'
import type { RouterEnv, SecondaryFailure } from './router-env.ts'

const shadow = { sample: 1, concurrency: 10, timeout: 10_000 }
const configOf = (epoch: number, more: Partial<MigrationConfig>): MigrationConfig => ({
  ...defaultConfig('m'),
  epoch,
  shadow,
  ...more,
})

function router(
  options: Partial<UntypedOptions> = {},
  instance = 'here',
  lease?: RouterEnv['lease'],
  clock: Clock = systemClock,
) {
  const calls: string[] = []
  const failures: SecondaryFailure[] = []
  const handler =
    (operation: string, path: Path) =>
    async (key: unknown, tx: unknown, ...args: unknown[]) => {
      calls.push([operation, path, key, ...args].join(' '))
      expect(tx).toBeUndefined()
      return operation === 'read' ? 'value' : path
    }
  const both = (operation: string) => ({ old: handler(operation, 'old'), new: handler(operation, 'new') })
  const recorder = createRecorder()
  const env: RouterEnv = {
    instance,
    clock,
    random: () => 0,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    recorder,
    lease,
    newer: async () => false,
  }
  const full: UntypedOptions = {
    key: (value) => String(value),
    read: both('read'),
    write: both('write'),
    remove: both('remove'),
    onSecondaryError: (failure) => failures.push(failure),
    ...options,
  }
  const runtime = new MigrationRuntime('m', runtimeOptionsOf(full), env, () => undefined)
  return { calls, failures, recorder, runtime, migration: createMigration(env, runtime) }
}

describe('routing without transactions', () => {
  it.each(WRITE_VARIANTS)('writes and removes as the table says for %s', async (variant) => {
    const { calls, migration, runtime } = router()
    runtime.apply(configOf(1, { write: variant }))
    const { order, leader } = WRITE_ROUTES[variant]
    expect(await migration.write('k', 'payload')).toBe(leader)
    expect(await migration.remove('k')).toBe(leader)
    expect(calls).toEqual([
      ...order.map((path) => `write ${path} k payload`),
      ...order.map((path) => `remove ${path} k`),
    ])
    expect(runtime.ledger.idle).toBe(true)
  })

  it.each(READ_VARIANTS)('reads as the table says for %s', async (variant) => {
    const { calls, migration, runtime, recorder } = router()
    runtime.apply(configOf(1, { read: { kind: 'fixed', variant } }))
    expect(await migration.read('k', 'more')).toBe('value')
    await runtime.ledger.untilIdle()
    const { served, compared } = READ_ROUTES[variant]
    const expected = compared === undefined ? [served] : [served, compared]
    expect(calls).toEqual(expected.map((path) => `read ${path} k more`))
    const counted = recorder.totals().reduce((sum, cell) => sum + cell.compared, 0)
    expect(counted).toBe(compared === undefined ? 0 : 1)
  })

  it('splits reads by key as the registry does, and sends canaries inside', async () => {
    const rule = {
      kind: 'split',
      inside: 'new',
      outside: 'old',
      share: 0.3,
      canary: ['canary'],
      salt: 'm',
    } as const
    for (const instance of ['here', 'canary']) {
      const { calls, migration, runtime } = router({}, instance)
      runtime.apply(configOf(1, { read: { ...rule, canary: [...rule.canary] } }))
      const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`)
      for (const key of keys) await migration.read(key)
      expect(calls).toEqual(keys.map((key) => `read ${readVariantFor(rule, key, instance)} ${key}`))
    }
  })

  it('does old alone before it was told anything', async () => {
    const { calls, migration } = router()
    await migration.read('k')
    await migration.write('k')
    expect(calls).toEqual(['read old k', 'write old k'])
  })

  it.each([
    ['dual-old', 'new', 'old'],
    ['dual-new', 'old', 'new'],
  ] as const)('of %s reports a failure of %s, and gives the result of %s', async (write, broken, leader) => {
    const table = {
      old: async () => 'old',
      new: async () => 'new',
      [broken]: () => Promise.reject(new Error('down')),
    }
    const { failures, migration, runtime, recorder } = router({ write: table })
    runtime.apply(configOf(1, { write }))
    expect(await migration.write('k')).toBe(leader)
    expect(failures).toMatchObject([{ path: broken, key: 'k', queued: false }])
    expect(
      recorder.totals().find(({ path, operation }) => path === broken && operation === 'write'),
    ).toMatchObject({
      count: 1,
      secondaryFailures: 1,
    })
  })

  it("fails with the secondary under onSecondaryFailure 'fail'", async () => {
    const table = { old: async () => 'old', new: () => Promise.reject(new Error('down')) }
    const { migration, runtime } = router({ write: table, onSecondaryFailure: 'fail' })
    runtime.apply(configOf(1, { write: 'dual-old' }))
    await expect(migration.write('k')).rejects.toThrow('down')
  })

  it('does not write new where old leads and fails', async () => {
    const written: string[] = []
    const table = { old: () => Promise.reject(new Error('down')), new: async () => void written.push('new') }
    const { migration, runtime } = router({ write: table })
    runtime.apply(configOf(1, { write: 'dual-old' }))
    await expect(migration.write('k')).rejects.toThrow('down')
    expect(written).toEqual([])
    expect(runtime.ledger.idle).toBe(true)
  })

  it.each(['old', 'dual-old'] as const)('runs nothing where a handler of %s is missing', async (write) => {
    const written: string[] = []
    const table = write === 'old' ? {} : { old: async () => void written.push('old') }
    const { migration, runtime } = router({ write: table })
    runtime.apply(configOf(1, { write }))
    await expect(migration.write('k')).rejects.toMatchObject({ code: 'missing-handlers', retryable: false })
    expect(written).toEqual([])
  })

  it('rejects, and ends the operation, when a handler or the key function throws at once', async () => {
    const throws = (): never => {
      throw new TypeError('at once')
    }
    const { migration, runtime, recorder } = router({ read: { old: throws } })
    await expect(migration.read('k')).rejects.toThrow('at once')
    expect(runtime.ledger.idle).toBe(true)
    expect(recorder.totals()[0]?.errors?.get('TypeError')).toBe(1)
    const badKey = router({ key: throws })
    badKey.runtime.apply(
      configOf(1, {
        read: { kind: 'split', inside: 'new', outside: 'old', share: 0.5, canary: [], salt: 'm' },
      }),
    )
    await expect(badKey.migration.read('k')).rejects.toThrow('at once')
  })

  it('takes results that are no promises, and other thenables', async () => {
    // biome-ignore lint/suspicious/noThenProperty: what query builders return
    const thenable = { then: (resolve: (value: string) => void) => resolve('later') }
    const { migration, runtime } = router({ read: { old: () => 'now', new: () => thenable } })
    expect(await migration.read('k')).toBe('now')
    runtime.apply(configOf(1, { read: { kind: 'fixed', variant: 'new' } }))
    expect(await migration.read('k')).toBe('later')
  })

  it('keeps the epoch under which a read began until it has ended', async () => {
    let release: (value: string) => void = () => undefined
    const pending = new Promise<string>((resolve) => {
      release = resolve
    })
    const { migration, runtime } = router({ read: { old: () => pending, new: async () => 'new' } })
    runtime.apply(configOf(1, {}))
    const slow = migration.read('k')
    runtime.apply(configOf(2, { read: { kind: 'fixed', variant: 'new' } }))
    expect(await migration.read('k')).toBe('new')
    expect(runtime.ledger.position(0)).toMatchObject({ applied: 2, drained: 1 })
    release('old')
    await slow
    expect(runtime.ledger.drained).toBe(2)
  })

  it('ignores an older epoch, and takes news of the same one', async () => {
    const { calls, migration, runtime } = router()
    runtime.apply(configOf(3, { write: 'new' }))
    runtime.apply(configOf(2, { write: 'old' }))
    await migration.write('k')
    runtime.apply(configOf(3, { write: 'dual-new' }))
    await migration.write('k')
    expect(calls).toEqual(['write new k', 'write old k', 'write new k'])
  })

  it('does not hand out what was read when the lease ended meanwhile', async () => {
    let now = 0
    const clock: Clock = { now: () => now, after: () => () => undefined }
    const lease = createLease(clock)
    lease.renew(0, 10)
    const { migration } = router({ read: { old: async () => 'stale' } }, 'here', lease, clock)
    const read = migration.read('k')
    now = 11
    await expect(read).rejects.toMatchObject({ code: 'lease-expired', retryable: true })
  })

  it('does not hand out what was read across a gap of the lease, though it is held again', async () => {
    let now = 0
    const clock: Clock = { now: () => now, after: () => () => undefined }
    const lease = createLease(clock)
    lease.renew(0, 10)
    let answer: (value: string) => void = () => undefined
    const held = new Promise<string>((resolve) => {
      answer = resolve
    })
    const { migration } = router({ read: { old: () => held } }, 'here', lease, clock)
    const before = migration.read('k')
    now = 50
    // The fleet may have gone on by now.
    lease.renew(50, 10)
    const after = migration.read('k')
    answer('stale')
    await expect(before).rejects.toMatchObject({ code: 'lease-expired' })
    await expect(after).resolves.toBe('stale')
  })

  it('runs no handler after the end of the lease', async () => {
    const { calls, migration } = router({}, 'here', { expired: () => true, heldSince: () => false })
    await expect(migration.read('k')).rejects.toMatchObject({ code: 'lease-expired' })
    await expect(migration.write('k')).rejects.toMatchObject({ code: 'lease-expired' })
    expect(calls).toEqual([])
  })
})
