import type { WorkerProgress } from '../phases/phase-service.ts'
import { pause } from '../target/pause.ts'
import type { Progress } from '../target/progress.ts'
import type { Target } from '../target/target.ts'
import { listRanges, summary } from '../walks/ranges-report.ts'

/** What a copy has done, by all processes that share it. */
export interface CopySums {
  readonly rows: number
  readonly changed: number
  readonly chunks: number
  readonly workers: readonly WorkerProgress[]
}

interface Row extends Record<string, unknown> {
  readonly name: string
  readonly rows: number
  readonly changed: number
  readonly chunks: number
  readonly chunkRows: number
  readonly chunkMs: number
}

const EVERY_MS = 1_000

/** Tells of the copy as a whole: the checkpoints know what other processes have copied. */
export function createCopyReport(
  target: Target,
  migration: string,
  progress: Progress,
  clock: () => number,
): { look(): Promise<CopySums>; watch(): { stop(): Promise<void> } } {
  async function look(): Promise<CopySums> {
    const { rows } = await target.query<Row>(
      `select coalesce(worker, '') as name, sum(rows)::float8 as rows, sum(changed)::float8 as changed,
              count(*) as chunks, (max(array[id, rows]))[2]::float8 as "chunkRows",
              coalesce((max(array[id, ms]))[2], 0) as "chunkMs"
       from switchback.checkpoints where migration = $1 and done group by worker order by worker`,
      [migration],
    )
    const sum = (of: 'rows' | 'changed' | 'chunks') => rows.reduce((total, row) => total + row[of], 0)
    const workers = rows
      .filter(({ name }) => name !== '')
      .map(({ name, rows: copied, chunkRows, chunkMs }) => ({
        name,
        rows: copied,
        chunkRows,
        chunkMs: Math.round(chunkMs),
      }))
    progress.reached(sum('rows'), workers)
    progress.ranges(summary(await listRanges(target, migration)))
    return { rows: sum('rows'), changed: sum('changed'), chunks: sum('chunks'), workers }
  }

  async function keepLooking(signal: AbortSignal): Promise<void> {
    for (let wait = EVERY_MS; ; ) {
      await pause(wait, signal)
      const began = clock()
      await look().catch(() => undefined)
      // Where there are very many checkpoints, adding them up must not become the work.
      wait = Math.max(EVERY_MS, 20 * (clock() - began))
    }
  }

  return {
    look,
    watch: () => {
      const stop = new AbortController()
      const ended = keepLooking(stop.signal).catch(() => undefined)
      return {
        stop: async () => {
          stop.abort()
          await ended
        },
      }
    },
  }
}
