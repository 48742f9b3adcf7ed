/** Median of numbers; the middle one of an odd count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

/** A thing to measure: runs `count` times in a row. */
export interface Contestant {
  readonly name: string
  readonly run: (count: number) => void | Promise<void>
}

/**
 * Nanoseconds per call of each contestant: they take turns in every round, so that a slow moment of the machine
 * hits all alike, and the median of the rounds counts.
 */
export async function compareCalls(
  contestants: readonly Contestant[],
  options: { readonly rounds: number; readonly calls: number },
): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
  for (const { run } of contestants) await run(options.calls)
  for (let round = 0; round < options.rounds; round++) {
    for (const { name, run } of contestants) {
      const start = process.hrtime.bigint()
      await run(options.calls)
      times.get(name)?.push(Number(process.hrtime.bigint() - start) / options.calls)
    }
  }
  return new Map([...times].map(([name, values]) => [name, median(values)]))
}
