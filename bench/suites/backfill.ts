import type pg from 'pg'
import { COPY_ALL, freshTables, nextOrder, withExecution } from '../copy-tables.ts'
import { type Application, type TrafficOfCopy, underTraffic } from '../copy-traffic.ts'
import type { SuiteOptions, SuiteResult } from '../main.ts'
import { median } from '../measure.ts'
import { peakMemory } from '../peak-memory.ts'
import { prepareSerialBatches, serialBatches } from '../serial-batches.ts'
import { openPool, ROOMY, withPostgres } from '../support.ts'

const ROUNDS = 3
const LARGER = 10

interface CopyContestant {
  readonly name: 'single' | 'one' | 'two' | 'serialBatches'
  /** Copies everything; resolves to the milliseconds that count. */
  readonly copy: () => Promise<number>
}

/**
 * Copying a table: one `INSERT … SELECT`, which is the limit, ours with one and two workers, and the method of
 * pgroll. Every contestant has new tables and a checkpoint before it; they take turns in every round.
 * Ours counts from the order to the end of the sweep. Then the same beside an application; and, with `--large`,
 * ours on ten times as many rows, to see that its memory does not grow with them.
 */
export function run(say: (line: string) => void, options: SuiteOptions): Promise<SuiteResult> {
  const rows = options.rows ?? 1_000_000
  return withPostgres(async ({ url }) => {
    const pool = openPool(url)
    try {
      const speed = await compareSpeed(say, { pool, url, rows, rounds: options.rounds ?? ROUNDS })
      const traffic = await compareTraffic(say, { pool, url, rows })
      const large = options.large ? await copyLarge(say, { pool, url, rows: rows * LARGER }) : undefined
      return {
        suite: 'backfill',
        ratios: { ...speed.ratios, ...traffic.ratios },
        rows,
        milliseconds: speed.milliseconds,
        traffic: traffic.times,
        pacedRowsPerSecond: traffic.pacedRowsPerSecond,
        peakMemoryMiB: { [rows]: speed.peakMemoryMiB, ...large },
      }
    } finally {
      await pool.end()
    }
  }, ROOMY)
}

interface Tables {
  readonly pool: pg.Pool
  readonly url: string
  readonly rows: number
}

interface CopyRun {
  readonly ms: number
  readonly copyMs: number
  readonly peakMemoryMiB: number
}

/** Our whole job: the copy, the wait for older snapshots, the sweep. */
const copyWith = (say: (line: string) => void, { url, rows }: Tables, workers: number): Promise<CopyRun> =>
  withExecution(url, workers, async (execution) => {
    let ms = 0
    let copyMs = 0
    const peakMemoryMiB = await peakMemory(async () => {
      const start = performance.now()
      const { detail } = await execution.run('backfill', nextOrder())
      ms = performance.now() - start
      copyMs = Number(detail.copyMs)
      if (detail.rows !== rows) throw new Error(`copied ${detail.rows} of ${rows} rows`)
      say(JSON.stringify(detail))
    })
    return { ms, copyMs, peakMemoryMiB }
  })

async function compareSpeed(say: (line: string) => void, tables: Tables & { readonly rounds: number }) {
  const { pool, rows, rounds } = tables
  const memory: number[] = []
  /** Of ours: until the last range was copied. */
  const copying = { one: [] as number[], two: [] as number[] }
  const ours = (name: 'one' | 'two') => async () => {
    const { ms, copyMs, peakMemoryMiB } = await copyWith(say, tables, name === 'one' ? 1 : 2)
    memory.push(peakMemoryMiB)
    copying[name].push(copyMs)
    return ms
  }
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
  const times = new Map<CopyContestant['name'], number[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, copy } of contestants) {
      await freshTables(pool, rows)
      const ms = await copy()
      times.get(name)?.push(ms)
      say(`round ${round + 1} ${name} ${ms.toFixed(0)} ms`)
    }
  }
  const of = (name: CopyContestant['name']) => times.get(name) ?? []
  /** Their time over ours, round by round: what slows the machine for a while slows neighbours alike. */
  const faster = (theirs: CopyContestant['name'], mine: readonly number[]) =>
    median(of(theirs).map((ms, round) => ms / (mine[round] ?? Number.NaN)))
  return {
    ratios: {
      vsSingle1: faster('single', of('one')),
      vsSingle2: faster('single', of('two')),
      vsPgroll: faster('serialBatches', of('one')),
      copyVsSingle1: faster('single', copying.one),
      copyVsSingle2: faster('single', copying.two),
      copyVsPgroll: faster('serialBatches', copying.one),
    },
    milliseconds: Object.fromEntries([...times].map(([name, values]) => [name, values.map(Math.round)])),
    peakMemoryMiB: Math.max(...memory),
  }
}

/** How long the copy at a pace is watched. */
const PACED_MS = 90_000

/**
 * What the operations of an application take beside a copy: ours as fast as it can with one and two workers, the
 * single statement, and ours at the pace that the application allows, as it goes by default where SDKs measure.
 */
async function compareTraffic(say: (line: string) => void, tables: Tables) {
  const { pool, url, rows } = tables
  let pacedRows = 0
  const copies: Readonly<Record<string, (application: Application) => Promise<unknown>>> = {
    one: () => copyWith(say, tables, 1),
    two: () => copyWith(say, tables, 2),
    single: () => pool.query(COPY_ALL),
    paced: async (application) => {
      pacedRows = await copyAtPace(say, url, application)
    },
  }
  const times = new Map<string, TrafficOfCopy>()
  // The fence and the tables of the execution are there before the application uses them.
  await withExecution(url, 1, async () => undefined)
  for (const [name, copy] of Object.entries(copies)) {
    const seen = await underTraffic(pool, url, rows, copy)
    times.set(name, seen)
    say(`application with ${name}: ${JSON.stringify(seen)}`)
  }
  const over = (name: string): number => times.get(name)?.p99 ?? Number.NaN
  return {
    ratios: {
      p99With1: over('one'),
      p99With2: over('two'),
      p99WithSingle: over('single'),
      p99Paced: over('paced'),
    },
    pacedRowsPerSecond: Math.round(pacedRows / (times.get('paced')?.during.seconds ?? Number.NaN)),
    times: Object.fromEntries(times),
  }
}

/** Copies at the pace that the application allows, for a while; returns how many rows that were. */
async function copyAtPace(
  say: (line: string) => void,
  url: string,
  application: Application,
): Promise<number> {
  const latencies = async (_: string, since: number) => application.latencies(since)
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), PACED_MS)
  let rows = 0
  let reason: string | undefined
  try {
    await withExecution(
      url,
      1,
      async (execution) => {
        await execution.run('backfill', {
          ...nextOrder(),
          signal: stop.signal,
          report: ({ stage, done = 0, throttledBy }) => {
            if (stage === 'copying') rows = Math.max(rows, done)
            if (throttledBy !== undefined && throttledBy !== reason) say(`  ${rows} rows; ${throttledBy}`)
            reason = throttledBy ?? reason
          },
        })
      },
      { latencies },
    )
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
  return rows
}

async function copyLarge(say: (line: string) => void, tables: Tables) {
  await freshTables(tables.pool, tables.rows)
  const { ms, peakMemoryMiB } = await copyWith(say, tables, 2)
  say(`${tables.rows} rows in ${(ms / 1000).toFixed(0)} s, ${peakMemoryMiB} MiB`)
  return { [tables.rows]: peakMemoryMiB }
}
