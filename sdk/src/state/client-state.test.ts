import {
  type Change,
  defaultConfig,
  type MigrationConfig,
  type Snapshot,
} from '@switchback/migrations-registry'
import { describe, expect, it } from 'vitest'
import { applyChange, applySnapshot, type ClientState, EMPTY_STATE, snapshotOf } from './client-state.ts'

const config = (id: string, epoch: number): MigrationConfig => ({ ...defaultConfig(id), epoch })
const snapshot = (revision: number, ...migrations: MigrationConfig[]): Snapshot => ({
  revision,
  migrations,
  flags: [],
})
const change = (since: number, revision: number, ...migrations: MigrationConfig[]): Change => ({
  ...snapshot(revision, ...migrations),
  since,
  removedMigrations: [],
  removedFlags: [],
})
const after = (state: ClientState, taken: Snapshot): ClientState => {
  const outcome = applySnapshot(state, taken)
  if (outcome.kind !== 'applied') throw new Error(outcome.kind)
  return outcome.state
}
const held = after(EMPTY_STATE, snapshot(7, config('a', 3), config('b', 1)))

describe('the state of an instance', () => {
  it.each([
    ['known', change(6, 7, config('a', 4))],
    ['known', change(5, 6, config('a', 4))],
    ['gap', change(8, 9, config('a', 4))],
  ] as const)('says %s of a change that does not follow', (kind, news) => {
    expect(applyChange(held, news)).toEqual({ kind })
  })

  it('takes a change that leaves no gap, and says what is another now', () => {
    const outcome = applyChange(held, change(5, 8, config('a', 4), config('b', 1)))
    expect(outcome).toMatchObject({ kind: 'applied', migrations: ['a'], state: { revision: 8 } })
  })

  it('never goes back to an older revision', () => {
    expect(applySnapshot(held, snapshot(6, config('a', 9)))).toEqual({ kind: 'older' })
  })

  it('never goes back to an older epoch of a migration, and takes the rest', () => {
    const outcome = applySnapshot(held, snapshot(9, config('a', 2), config('b', 5)))
    expect(outcome).toMatchObject({
      kind: 'applied',
      migrations: ['b'],
      refused: ['a at epoch 2, held at 3'],
    })
    if (outcome.kind === 'applied') expect(outcome.state.migrations.get('a')?.epoch).toBe(3)
  })

  it('forgets what a snapshot does not name', () => {
    const outcome = applySnapshot(held, snapshot(8, config('b', 1)))
    expect(outcome).toMatchObject({ kind: 'applied', migrations: ['a'] })
  })

  it('leaves out a flag that cannot be read, and keeps the rest', () => {
    const flags = [{ key: 'good' }, { key: 'bad', defaultVariant: 'nowhere' }]
    const outcome = applySnapshot(EMPTY_STATE, { revision: 1, migrations: [], flags })
    expect(outcome).toMatchObject({ kind: 'applied', flags: ['good'] })
  })

  it('comes back from its own snapshot', () => {
    const full = after(held, { ...snapshot(8, config('a', 3)), flags: [{ key: 'checkout' }] })
    expect(after(EMPTY_STATE, snapshotOf(full))).toEqual(full)
  })
})
