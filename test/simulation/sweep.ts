import type { Mutant } from './protocol/mutants.ts'
import { simulate } from './protocol/simulation.ts'

export interface SweepOptions {
  readonly first: number
  readonly count: number
  readonly mutant?: Mutant | undefined
  /** The sweep ends after so many seeds that violate. */
  readonly stopAfter: number
  /** Called for each seed that violates, with the trace of its replay. */
  readonly onViolation?: (seed: number, message: string, trace: readonly string[]) => void
  readonly onProgress?: (done: SweepResult) => void
}

export interface SweepResult {
  readonly seeds: number
  readonly steps: number
  /** Seeds that violated an invariant, in their order; for a mutant those at which the product does not. */
  readonly failed: readonly number[]
}

const PROGRESS_MS = 2_000

/** Runs one seed after the other. */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const { first, count, mutant, stopAfter, onViolation, onProgress } = options
  let steps = 0
  let seeds = 0
  let told = performance.now()
  const failed: number[] = []
  while (seeds < count && failed.length < stopAfter) {
    const seed = first + seeds
    const { steps: taken, violation } = await simulate({ seed, mutant })
    seeds++
    steps += taken
    if (violation !== undefined && (mutant === undefined || (await holds(seed)))) {
      failed.push(seed)
      if (onViolation !== undefined) {
        const { trace } = await simulate({ seed, mutant, trace: true })
        onViolation(seed, violation.message, trace)
      }
    }
    if (onProgress !== undefined && performance.now() - told >= PROGRESS_MS) {
      told = performance.now()
      onProgress({ seeds, steps, failed })
    }
  }
  return { seeds, steps, failed }
}

/** Whether the product itself keeps the invariants at this seed. */
async function holds(seed: number): Promise<boolean> {
  return (await simulate({ seed })).violation === undefined
}
