import { describe, expect, test } from 'vitest'
import { sweep } from '../sweep.ts'
import { isMutant, MUTANTS, type Mutant } from './mutants.ts'
import { simulate } from './simulation.ts'

describe('the protocol', () => {
  test('keeps its invariants', async () => {
    expect(await sweep({ first: 1, count: 150, stopAfter: 1 })).toMatchObject({ seeds: 150, failed: [] })
  })
})

/** A seed for each guard at which its loss shows. `npm run sim -- --mutant all` finds others. */
const CAUGHT_AT: Readonly<Record<Mutant, number>> = {
  'no-lease-wait': 7,
  'ack-without-drain': 7,
  'drain-forgets-open-transactions': 7,
  'no-fence': 3,
  'minimum-in-table': 134,
  'minimum-raised-after-drain': 502,
  'fence-enough-before-retired': 7,
  'no-second-look': 380,
  'second-look-without-waiting': 380,
  'second-look-without-row-lock': 321,
  'backfill-does-not-overwrite': 29,
  'no-key-lock': 25,
  'no-sweep': 52,
  'sweep-read-committed': 139,
  'sweep-before-old-snapshots': 10,
  'mismatch-without-recheck': 43,
  'revert-waits-for-acks': 1,
  'retired-without-reverse-backfill': 43,
  'reverse-backfill-without-fence': 2,
  'ramp-straight-to-expanded': 1,
  'epoch-reused-after-restore': 193,
  'commands-before-the-first-look': 30,
}

describe('without a guard the invariants are broken', () => {
  test.each(Object.keys(MUTANTS).filter(isMutant))('%s', async (mutant) => {
    const seed = CAUGHT_AT[mutant]
    expect((await simulate({ seed })).violation).toBeUndefined()
    const first = await simulate({ seed, mutant, trace: true })
    expect(first.violation?.invariant).toMatch(/^I[1-7]$/)
    const again = await simulate({ seed, mutant, trace: true })
    expect(again.trace).toEqual(first.trace)
  })
})

describe('a seed', () => {
  test('gives the same run every time', async () => {
    for (const seed of [3, 14, 15]) {
      const { trace, steps } = await simulate({ seed, trace: true })
      const again = await simulate({ seed, trace: true })
      expect(again.steps).toBe(steps)
      expect(again.trace).toEqual(trace)
      // What is recorded changes nothing.
      expect((await simulate({ seed })).steps).toBe(steps)
    }
  })

  test('gives another run than the next one', async () => {
    const [one, other] = [await simulate({ seed: 1, trace: true }), await simulate({ seed: 2, trace: true })]
    expect(one.trace.slice(1)).not.toEqual(other.trace.slice(1))
  })
})
