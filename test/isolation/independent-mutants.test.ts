import { afterEach, test } from 'vitest'
import { expectToShow } from './judge-mutant.ts'
import type { Laboratory } from './laboratory.ts'
import { openPairLaboratory } from './pair-laboratory.ts'
import { PAIR_MUTANTS } from './pair-mutants.ts'

let laboratory: Laboratory | undefined
afterEach(() => laboratory?.close())

test.each(PAIR_MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
  'with two databases it shows when %s',
  async (_, mutant) => {
    laboratory = await openPairLaboratory()
    await expectToShow(laboratory, mutant)
  },
  120_000,
)
