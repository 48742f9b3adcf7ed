import { EPOCH_MARGIN, initialState } from '@switchback/migrations-registry'
import { testStore, waitFor } from '@switchback/test/support'
import { describe, expect, it } from 'vitest'
import type { Execution } from '../execution/execution-port.ts'
import { createCompare, type Remembered } from './compare.ts'
import type { Command, StoredMigration } from './phase-service.ts'
import {
  ANN,
  advanceTo,
  at,
  cleanup,
  copyOfStore,
  defined,
  definition,
  ID,
  outdated,
  refusalOf,
  revert,
  serverOn,
  sql,
  stateOf,
  useStores,
} from './put-back-for-tests.ts'

useStores()

describe('a restored store whose target does not answer', () => {
  it('refuses whatever could lead to an epoch or to work', async () => {
    const before = serverOn(at.store.url)
    await before.phases.register({ definition, sql, source: '' }, ANN)
    await before.stop()
    at.proxy.cut()
    const server = serverOn(await copyOfStore())
    const commands: readonly Command[] = [
      { type: 'advance' },
      { type: 'set-rollout', share: 0.5 },
      { type: 'set-flags', read: 'old' },
      { type: 'resume' },
      { type: 'approve' },
      revert,
      { type: 'continue-revert' },
      { type: 'restore' },
      { type: 'verify' },
      { type: 'rearm', reason: 'mended' },
      { type: 'retry-work' },
      { type: 'fence-passed', epoch: 3 },
      { type: 'work-started', kind: 'backfill', epoch: 3 },
      { type: 'work-committing', kind: 'contract', epoch: 3 },
      { type: 'work-done', kind: 'expand', epoch: 1 },
      { type: 'work-failed', kind: 'expand', epoch: 1, error: 'x' },
    ]
    for (const command of commands) {
      expect([command.type, await refusalOf(server, command)]).toEqual([command.type, 'target-not-compared'])
    }
  })

  it('takes no epoch for anybody, holds work back when asked to, and goes on once the target answers', async () => {
    const { url, seen } = await outdated()
    at.proxy.cut()
    const server = serverOn(url)
    await server.firstLook()
    const before = await stateOf(server)
    expect(before).toMatchObject({ phase: 'dual-write', compared: false })
    expect(before.epoch).toBeLessThan(seen)
    expect(await refusalOf(server, { type: 'advance' })).toBe('target-not-compared')
    expect(await refusalOf(server, revert)).toBe('target-not-compared')
    expect(await server.incidents.list({ limit: 10 })).toEqual([])
    const gate = await server.phases.gate(ID)
    expect(gate?.blockers.map(({ code }) => code)).toContain('target-not-compared')
    for (const held of [
      { type: 'pause' },
      { type: 'set-backfill', on: false },
      { type: 'set-throttle', change: { rowsPerSecond: 100 } },
    ] as const) {
      expect([held.type, await refusalOf(server, held)]).toEqual([held.type, 'done'])
    }
    expect((await stateOf(server)).epoch).toBe(before.epoch)
    at.proxy.heal()
    // Whoever asked saw a state that is not so; nothing is done for him before he has looked.
    await waitFor(async () => (await refusalOf(server, revert)) === 'store-was-behind', {
      what: 'the target to be asked again',
    })
    const taken = await stateOf(server)
    expect(taken).toMatchObject({ phase: 'shadow', epoch: seen + EPOCH_MARGIN })
    expect(await refusalOf(server, revert)).toBe('done')
    expect(await stateOf(server)).toMatchObject({ phase: 'dual-write', epoch: seen + EPOCH_MARGIN + 1 })
  })

  it('has a person told of an automatic revert that it refuses, once', async () => {
    const { url } = await outdated()
    at.proxy.cut()
    const server = serverOn(url)
    const alert = { type: 'revert', cause: { kind: 'alert', reason: 'errors', incident: 'inc_a' } } as const
    const first = await server.phases.command(ID, alert, { name: 'alert' })
    expect(first).toMatchObject({ ok: false, refusal: { code: 'target-not-compared' } })
    await server.phases.command(ID, alert, { name: 'alert' })
    const incidents = await server.incidents.list({ limit: 10 })
    expect(incidents).toMatchObject([{ kind: 'refused', status: 'open' }])
    // The id of the alert's own is left for the revert that it may still make.
    expect(incidents[0]?.id).not.toBe('inc_a')
  })

  it('begins no work, and copies and carries nothing, in a target that answers all but this question', async () => {
    const before = serverOn(at.store.url)
    await before.phases.register({ definition, sql, source: '' }, ANN)
    await advanceTo(before, 'dual-write')
    await before.stop()
    // Asked for in the backup, called off since.
    await at.store.db.query(`update migrations set definition = definition || '{"writes": "trigger"}', state = state ||
      '{"work": {"kind": "backfill", "epoch": 3, "status": "pending"}}'`)
    const asked: string[] = []
    const recording = (execution: Execution) =>
      new Proxy(execution, {
        get: (on, name: keyof Execution) => {
          if (name === 'end') return on.end
          asked.push(name)
          return name === 'remember' ? () => Promise.reject(new Error('no answer')) : on[name]
        },
      })
    const server = serverOn(await copyOfStore(), recording)
    await server.firstLook()
    expect(await refusalOf(server, { type: 'pause' })).toBe('done')
    // Asked in a later look of the engine, which has then been through the ones before.
    await waitFor(() => asked.filter((name) => name === 'remember').length >= 3, { what: 'two more looks' })
    expect([...new Set(asked)]).toEqual(['remember'])
  })
})

describe('several servers on one store', () => {
  it('act on the comparison of one of them, while the store lives on', async () => {
    const first = serverOn(at.store.url)
    await first.phases.register({ definition, sql, source: '' }, ANN)
    await advanceTo(first, 'dual-write')
    await first.stop()
    // It was started while the target was away, and needs no answer to take reads off a path.
    at.proxy.cut()
    const second = serverOn(at.store.url)
    await second.firstLook()
    const result = await second.phases.command(ID, { ...revert, to: 'expanded' } as Command, ANN)
    expect(result).toMatchObject({ ok: true, migration: { state: { phase: 'expanded' } } })
  })

  it('are not told that the store was behind when one of them was merely quicker', async () => {
    const { url, seen } = await outdated()
    const [first, second] = [serverOn(url), serverOn(url)]
    await Promise.all([first.firstLook(), second.firstLook(), first.firstLook()])
    expect((await stateOf(first)).epoch).toBe(seen + EPOCH_MARGIN)
    expect((await stateOf(second)).latch).toEqual((await stateOf(first)).latch)
  })
})

describe('a migration that is registered while its target is away', () => {
  it('waits for the target, and begins with its first epoch where the target does not know it', async () => {
    at.proxy.cut()
    const server = serverOn(at.store.url)
    expect((await server.phases.register({ definition, sql, source: '' }, ANN)).ok).toBe(true)
    expect(await refusalOf(server, { type: 'advance' })).toBe('target-not-compared')
    at.proxy.heal()
    await advanceTo(server, 'expanded')
    expect(await stateOf(server)).toMatchObject({ epoch: 2, compared: true })
  })

  it('is what the target remembers, where the store has forgotten that it was registered before', async () => {
    const { seen } = await outdated()
    const fresh = await testStore()
    cleanup.unshift(() => fresh.drop())
    const server = serverOn(fresh.url)
    await server.phases.register({ definition, sql, source: '' }, ANN)
    await waitFor(async () => (await stateOf(server)).epoch === seen + EPOCH_MARGIN, {
      what: 'the state of the target to be taken up',
    })
    expect(await stateOf(server)).toMatchObject({ phase: 'shadow' })
  })

  it('is compared anew when a definition for another target takes its place', async () => {
    const server = serverOn(at.store.url)
    await server.phases.register({ definition, sql, source: '' }, ANN)
    await server.firstLook()
    at.proxy.cut()
    await server.phases.register({ definition: defined('other'), sql, source: 'other' }, ANN)
    expect(await stateOf(server)).toMatchObject({ compared: false })
  })
})

describe('comparing', () => {
  const migration: StoredMigration = {
    definition,
    sql,
    source: '',
    checksum: '',
    state: initialState(ID, 0),
    revision: 1,
    compared: false,
  }
  const comparing = (answer: () => Remembered, clock = () => 0, isTaken = true) => {
    const refusal = { code: 'epoch-known', message: '', action: '' } as const
    return createCompare({
      store: { life: async () => 'this one', noteCompared: async () => {} },
      clock,
      remember: async () => answer(),
      takeUp: async () => (isTaken ? { ok: true, migration } : { ok: false, refusal }),
    })
  }

  it.each([
    ['taken-up', true],
    ['moved', false],
  ] as const)('says %s of a newer state that the store has not, or has by now', async (what, isTaken) => {
    const newer = { ...migration.state, epoch: 2 }
    expect(await comparing(() => ({ answered: true, newer }), undefined, isTaken)(migration)).toBe(what)
  })

  it('does not ask a target again that has just not answered, for whichever migration, nor after long', async () => {
    let now = 10_000
    let asked = 0
    const compare = comparing(
      () => {
        asked++
        return { answered: false }
      },
      () => now,
    )
    const other = { ...migration, definition: { ...definition, id: 'other' } }
    const elsewhere = { ...migration, definition: defined('elsewhere') }
    for (const [each, at, times] of [
      [migration, 10_000, 1],
      [other, 10_500, 1],
      [elsewhere, 10_500, 2],
      [migration, 11_000, 3],
      [migration, 9_000, 4],
    ] as const) {
      now = at
      expect(await compare(each)).toBe('unknown')
      expect([at, asked]).toEqual([at, times])
    }
  })
})
