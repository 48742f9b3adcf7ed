import { afterEach, expect, test } from 'vitest'
import { sampledChoices } from './choices.ts'
import { explore } from './explore.ts'
import { type Laboratory, openLaboratory } from './laboratory.ts'
import { MUTANTS, rewritesOf } from './mutants.ts'

/** Interleavings within which each missing guard has to show, at each of its levels. */
const RUNS = 300

let laboratory: Laboratory | undefined
afterEach(() => laboratory?.close())

test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
  'it shows when %s',
  async (_, mutant) => {
    const opened = await openLaboratory()
    laboratory = opened
    const rewrites = rewritesOf(mutant)
    const shown: (readonly [level: string, rounds: number])[] = []
    for (const level of mutant.levels) {
      const choices = sampledChoices(RUNS, 1)
      const { found, rounds } = await explore({
        laboratory: opened,
        scenario: mutant.scenario,
        level,
        choices,
        rewrites,
      })
      if (found !== undefined) shown.push([level, rounds])
    }
    const told = shown.map(([level, rounds]) => `in interleaving ${rounds} at ${level}`)
    console.log(`isolation, ${mutant.name}: shows ${told.join(', ')}`)
    // A statement that has changed its wording would leave the guard in.
    if (mutant.sql === undefined) expect(rewrites.hits()).toBeGreaterThan(0)
    expect(shown.map(([level]) => level)).toEqual(mutant.levels)
  },
  120_000,
)
