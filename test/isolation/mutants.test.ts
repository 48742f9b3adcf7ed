import { afterEach, test } from 'vitest'
import { expectToShow } from './judge-mutant.ts'
import { type Laboratory, openLaboratory } from './laboratory.ts'
import { MUTANTS } from './mutants.ts'

let laboratory: Laboratory | undefined
afterEach(() => laboratory?.close())

test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
  'it shows when %s',
  async (_, mutant) => {
    laboratory = await openLaboratory()
    await expectToShow(laboratory, mutant)
  },
  120_000,
)
