import { describe, expect, test } from 'vitest'
import type { Isolation } from '../database/transaction.ts'
import { ALL_GUARDS, dualWriteRound, equal, type Guards } from './dual-write-round.ts'

const ROUNDS = 400
const LEVELS: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable']

async function unequalRounds(isolation: Isolation, guards: Guards, rounds: number): Promise<number[]> {
  const seeds: number[] = []
  for (let seed = 1; seed <= rounds; seed++) {
    if (!equal(await dualWriteRound(seed, isolation, guards))) seeds.push(seed)
  }
  return seeds
}

describe('what was measured on PostgreSQL shows on the model', () => {
  test.each(LEVELS)('with all guards every round ends with old = new, at %s', async (isolation) => {
    expect(await unequalRounds(isolation, ALL_GUARDS, ROUNDS)).toEqual([])
  })

  const without: readonly (readonly [string, Isolation, Partial<Guards>])[] = [
    ['the lock of source rows', 'read committed', { lockSource: false }],
    ['overwriting', 'read committed', { overwrite: false }],
    ['the sweep', 'repeatable read', { sweep: 'none' }],
    ['REPEATABLE READ of the sweep', 'read committed', { sweep: 'read committed' }],
    ['the lock of the key', 'read committed', { keyLock: false }],
    ['the wait for older snapshots', 'repeatable read', { waitForSnapshots: false }],
    ['the wait for older snapshots', 'serializable', { waitForSnapshots: false }],
    ['an upsert in new', 'repeatable read', { upsertInNew: false }],
  ]
  test.each(without)('without %s some do not, at %s', async (_name, isolation, missing) => {
    let found = 0
    for (let seed = 1; seed <= 2000 && found === 0; seed++) {
      if (!equal(await dualWriteRound(seed, isolation, { ...ALL_GUARDS, ...missing }))) found = seed
    }
    expect(found).toBeGreaterThan(0)
  })
})

test('a seed gives the same run, to the letter', async () => {
  const first = await dualWriteRound(7, 'repeatable read', ALL_GUARDS, true)
  const second = await dualWriteRound(7, 'repeatable read', ALL_GUARDS, true)
  expect(first.trace.length).toBeGreaterThan(100)
  expect(second.trace).toEqual(first.trace)
  const other = await dualWriteRound(8, 'repeatable read', ALL_GUARDS, true)
  expect(other.trace).not.toEqual(first.trace)
})
