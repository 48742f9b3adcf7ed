import type { Choices } from './choices.ts'
import type { Isolation } from './history.ts'
import type { Laboratory } from './laboratory.ts'
import { faultsAfterwards, faultsOf } from './oracle.ts'
import { playRound, type Rewrites, type Scenario, UNCHANGED } from './round.ts'

export interface Found {
  readonly scenario: string
  readonly level: Isolation
  readonly faults: readonly string[]
  /** The steps that led there. */
  readonly trace: readonly string[]
}

export interface Explored {
  readonly rounds: number
  /** Interleavings that differ in the order of their steps. */
  readonly interleavings: number
  readonly steps: number
  /** Whether every interleaving was gone through. */
  readonly complete: boolean
  /** The first that ended wrong; exploring stops there. */
  readonly found: Found | undefined
}

export interface Exploring {
  readonly laboratory: Laboratory
  readonly scenario: Scenario
  readonly level: Isolation
  readonly choices: Choices
  readonly rewrites?: Rewrites
}

/** Plays a scenario in one order after the other. */
export async function explore(options: Exploring): Promise<Explored> {
  const { laboratory, scenario, level, choices, rewrites = UNCHANGED } = options
  const seen = new Set<string>()
  let rounds = 0
  let steps = 0
  const sum = (found?: Found): Explored => ({
    rounds,
    interleavings: seen.size,
    steps,
    complete: choices.complete,
    found,
  })
  for (;;) {
    const choose = choices.next()
    if (choose === undefined) return sum()
    const history = await playRound(laboratory, scenario, level, choose, rewrites)
    const { trace } = history
    rounds += 1
    steps += trace.length
    const order = trace.join('\n')
    const known = seen.has(order)
    seen.add(order)
    const faults = [...(await faultsOf(laboratory, scenario, history))]
    // A broken variant is judged by what it leaves behind, not by what verification makes of it.
    if (faults.length === 0 && !known && rewrites === UNCHANGED) {
      faults.push(...(await faultsAfterwards(laboratory, scenario)))
    }
    if (faults.length > 0) return sum({ scenario: scenario.name, level, faults, trace })
  }
}
