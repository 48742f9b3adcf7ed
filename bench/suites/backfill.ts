import { COPY_ALL, freshTables, nextOrder, withExecution } from '../copy-tables.ts'
import type { SuiteOptions, SuiteResult } from '../main.ts'
import { median } from '../measure.ts'
import { peakMemory } from '../peak-memory.ts'
import { prepareSerialBatches, serialBatches } from '../serial-batches.ts'
import { openPool, ROOMY, withPostgres } from '../support.ts'

const ROUNDS = 3

interface CopyContestant {
  readonly name: 'single' | 'one' | 'two' | 'serialBatches'
  /** Copies everything; resolves to the milliseconds that count. */
  readonly copy: () => Promise<number>
}

/**
 * Copying a table: one `INSERT … SELECT`, which is the limit, ours with one and two workers, and the method of
 * pgroll. Every contestant has new tables and a checkpoint before it; they take turns in every round.
 * Ours counts from the order to the end of the sweep.
 */
export function run(say: (line: string) => void, options: SuiteOptions): Promise<SuiteResult> {
  const rows = options.rows ?? 1_000_000
  return withPostgres(async ({ url }) => {
    const pool = openPool(url)
    const memory: number[] = []
    /** Of ours: until the last range was copied. */
    const copying = { one: [] as number[], two: [] as number[] }
    const ours = (name: 'one' | 'two') => () =>
      withExecution(url, name === 'one' ? 1 : 2, async (execution) => {
        let ms = 0
        memory.push(
          await peakMemory(async () => {
            const start = performance.now()
            const { detail } = await execution.run('backfill', nextOrder())
            ms = performance.now() - start
            if (detail.changed !== rows) throw new Error(`copied ${detail.changed} of ${rows} rows`)
            copying[name].push(Number(detail.copyMs))
            say(JSON.stringify(detail))
          }),
        )
        return ms
      })
    const timed = (work: () => Promise<unknown>) => async () => {
      const start = performance.now()
      await work()
      return performance.now() - start
    }
    const contestants: readonly CopyContestant[] = [
      { name: 'single', copy: timed(() => pool.query(COPY_ALL)) },
      { name: 'one', copy: ours('one') },
      { name: 'two', copy: ours('two') },
      {
        name: 'serialBatches',
        copy: async () => {
          await prepareSerialBatches(pool)
          await pool.query('checkpoint')
          return timed(() => serialBatches(pool))()
        },
      },
    ]
    try {
      const times = new Map<CopyContestant['name'], number[]>(contestants.map(({ name }) => [name, []]))
      for (let round = 0; round < (options.rounds ?? ROUNDS); round++) {
        for (const { name, copy } of contestants) {
          await freshTables(pool, rows)
          const ms = await copy()
          times.get(name)?.push(ms)
          say(`round ${round + 1} ${name} ${ms.toFixed(0)} ms`)
        }
      }
      const of = (name: CopyContestant['name']) => times.get(name) ?? []
      /** Their time over ours, round by round: what slows the machine for a while slows neighbours alike. */
      const faster = (theirs: CopyContestant['name'], mine: CopyContestant['name']) =>
        median(of(theirs).map((ms, round) => ms / (of(mine)[round] ?? Number.NaN)))
      return {
        suite: 'backfill',
        ratios: {
          vsSingle1: faster('single', 'one'),
          vsSingle2: faster('single', 'two'),
          vsPgroll: faster('serialBatches', 'one'),
          copyVsSingle1: median(of('single').map((ms, i) => ms / (copying.one[i] ?? Number.NaN))),
          copyVsSingle2: median(of('single').map((ms, i) => ms / (copying.two[i] ?? Number.NaN))),
          copyVsPgroll: median(of('serialBatches').map((ms, i) => ms / (copying.one[i] ?? Number.NaN))),
        },
        rows,
        milliseconds: Object.fromEntries([...times].map(([name, values]) => [name, values.map(Math.round)])),
        peakMemoryMiB: Math.max(...memory),
      }
    } finally {
      await pool.end()
    }
  }, ROOMY)
}
