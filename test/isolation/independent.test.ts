import { afterAll, beforeAll, expect, test } from 'vitest'
import { sampledChoices } from './choices.ts'
import { explore } from './explore.ts'
import type { Laboratory } from './laboratory.ts'
import { openPairLaboratory } from './pair-laboratory.ts'
import * as scenarios from './pair-scenarios.ts'
import type { Scenario } from './round.ts'

/** Interleavings that are sampled of each scenario. ISOLATION_RUNS asks for more. */
const RUNS = Number(process.env.ISOLATION_RUNS ?? 20)
const SEED = Number(process.env.ISOLATION_SEED ?? 1)

const SCENARIOS: readonly Scenario[] = [
  scenarios.dyingBeforeReader,
  scenarios.colliding,
  scenarios.removedWhileCopied,
  scenarios.changedWhileOverwritten,
  ...scenarios.shared,
  scenarios.repairingOne,
  scenarios.hasty,
  scenarios.verifying,
  scenarios.verifyingEqual,
  scenarios.verifyingWritten,
  scenarios.dying,
  scenarios.dyingWhileCopied,
  scenarios.dyingWhileVerified,
  scenarios.dyingWhileLeading('new'),
  scenarios.dyingWhileLeading('old'),
  scenarios.reverting,
]

let laboratory: Laboratory
let interleavings = 0
let steps = 0
beforeAll(async () => {
  laboratory = await openPairLaboratory()
})
afterAll(async () => {
  console.log(`isolation, two databases: ${interleavings} interleavings, ${steps} steps, old and new equal`)
  await laboratory.close()
})

test.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
  '%s',
  async (_, scenario) => {
    const choices = sampledChoices(RUNS, SEED)
    const explored = await explore({ laboratory, scenario, level: 'read committed', choices })
    expect(explored.found).toBeUndefined()
    interleavings += explored.interleavings
    steps += explored.steps
  },
  60_000 + RUNS * 2_000,
)
