import { expect } from 'vitest'
import { sampledChoices } from './choices.ts'
import { explore } from './explore.ts'
import type { Laboratory } from './laboratory.ts'
import { type Mutant, rewritesOf } from './mutants.ts'

/** Interleavings within which each missing guard has to show, at each of its levels. */
const RUNS = 300

/** Expects a missing guard to show, and says how soon. */
export async function expectToShow(laboratory: Laboratory, mutant: Mutant): Promise<void> {
  const rewrites = rewritesOf(mutant)
  const shown: (readonly [level: string, rounds: number])[] = []
  for (const level of mutant.levels) {
    const choices = sampledChoices(RUNS, 1)
    const { scenario } = mutant
    const { found, rounds } = await explore({ laboratory, scenario, level, choices, rewrites })
    if (found !== undefined) shown.push([level, rounds])
  }
  const told = shown.map(([level, rounds]) => `in interleaving ${rounds} at ${level}`)
  console.log(`isolation, ${mutant.name}: shows ${told.join(', ')}`)
  // A statement that has changed its wording would leave the guard in.
  if (mutant.sql === undefined && mutant.half === undefined) expect(rewrites.hits()).toBeGreaterThan(0)
  expect(shown.map(([level]) => level)).toEqual(mutant.levels)
}
