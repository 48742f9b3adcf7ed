import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Choices, everyChoice, sampledChoices } from './choices.ts'
import { explore } from './explore.ts'
import type { Isolation } from './history.ts'
import { type Laboratory, openLaboratory } from './laboratory.ts'
import type { Scenario } from './round.ts'
import * as scenarios from './scenarios.ts'

/** Interleavings that are sampled of each scenario at each level. ISOLATION_RUNS asks for more. */
const RUNS = Number(process.env.ISOLATION_RUNS ?? 40)
const SEED = Number(process.env.ISOLATION_SEED ?? 1)
/** More orders than the small scenarios have. */
const ALL = 5_000
const EVERY = ', in every order'
/** For the longest: some two thousand orders, each with sessions of its own, beside other test files. */
const TIME_MS = 240_000 + RUNS * 2_000

const SMALL: readonly Scenario[] = [
  scenarios.colliding,
  scenarios.removedWhileCopied,
  scenarios.sweeping,
  scenarios.fencing,
]
const LARGE: readonly Scenario[] = [
  scenarios.changedWhileCopied,
  scenarios.changedWhileOverwritten,
  scenarios.updatedTwiceWhileFilled,
  scenarios.copying,
  scenarios.copyingAgain,
  scenarios.verifying,
  scenarios.changing,
  scenarios.repairing,
  scenarios.leading('new'),
  scenarios.leading('old'),
  scenarios.reverting,
  scenarios.crossing,
]

/** Declares the tests of one isolation level; prints how many interleavings were gone through. */
export function testLevel(level: Isolation): void {
  let laboratory: Laboratory
  let interleavings = 0
  let steps = 0
  beforeAll(async () => {
    laboratory = await openLaboratory()
  })
  afterAll(async () => {
    console.log(`isolation, ${level}: ${interleavings} interleavings, ${steps} steps, old and new equal`)
    await laboratory.close()
  })

  const cases: readonly (readonly [string, Scenario, () => Choices])[] = [
    ...SMALL.map((scenario) => [`${scenario.name}${EVERY}`, scenario, () => everyChoice(ALL)] as const),
    [
      `${scenarios.updatedWhileFilled.name}${level === 'read committed' ? EVERY : ''}`,
      scenarios.updatedWhileFilled,
      // A plain update misses what was filled most easily by an old snapshot; what a new one sees needs every order.
      () => (level === 'read committed' ? everyChoice(ALL) : sampledChoices(RUNS, SEED)),
    ],
    ...LARGE.map((scenario) => [scenario.name, scenario, () => sampledChoices(RUNS, SEED)] as const),
  ]
  test.each(cases)(
    '%s',
    async (name, scenario, choices) => {
      const every = choices()
      const explored = await explore({ laboratory, scenario, level, choices: every })
      expect(explored.found).toBeUndefined()
      if (name.endsWith(EVERY)) expect(every.complete).toBe(true)
      interleavings += explored.interleavings
      steps += explored.steps
    },
    TIME_MS,
  )
}
