import { isDeepStrictEqual } from 'node:util'
import type { RangesProgress, WorkerProgress, WorkProgress } from '../phases/phase-service.ts'

/** Progress of one piece of work; what is set is reported at once where it says something new, and in any
 *  case every 200 ms. */
export interface Progress {
  stage(stage: string, total?: number): void
  /** Adds to what is done in this stage. */
  advance(rows: number): void
  /** Sets what is done in this stage, by all workers wherever they are. */
  reached(rows: number, workers: readonly WorkerProgress[]): void
  /** Sets which ranges are done and which are worked on, where there are several. */
  ranges(ranges: RangesProgress | undefined): void
  throttledBy(reason: string | undefined): void
  detail(detail: Readonly<Record<string, unknown>>): void
  end(): void
}

const EVERY_MS = 200

export function createProgress(report: (progress: WorkProgress) => void, clock: () => number): Progress {
  let stage = 'starting'
  let done = 0
  let total: number | undefined
  let detail: Readonly<Record<string, unknown>> | undefined
  let throttledBy: string | undefined
  let workers: readonly WorkerProgress[] = []
  let ranges: RangesProgress | undefined
  // Rows and times of the last ten seconds or so: a rate since the beginning would hide a pause.
  let marks: { at: number; done: number }[] = []

  const tell = () => {
    const now = clock()
    marks.push({ at: now, done })
    if (marks.length > 50) marks = marks.slice(-50)
    const first = marks[0]
    const elapsed = first === undefined ? 0 : now - first.at
    const rate = first === undefined || elapsed < 100 ? undefined : ((done - first.done) * 1000) / elapsed
    const left = total === undefined ? undefined : Math.max(0, total - done)
    report({
      stage,
      done,
      ...(total === undefined ? {} : { total: Math.max(total, done) }),
      ...(rate === undefined ? {} : { rate: Math.round(rate) }),
      ...(left === undefined || rate === undefined || rate <= 0
        ? {}
        : { etaMs: Math.round((left * 1000) / rate) }),
      ...(throttledBy === undefined ? {} : { throttledBy }),
      ...(workers.length === 0 ? {} : { workers }),
      ...(ranges === undefined ? {} : { ranges }),
      ...(detail === undefined ? {} : { detail }),
    })
  }
  const timer = setInterval(tell, EVERY_MS)
  timer.unref()

  return {
    stage: (next, rows) => {
      stage = next
      done = 0
      total = rows
      throttledBy = undefined
      workers = []
      ranges = undefined
      marks = []
      tell()
    },
    advance: (rows) => {
      done += rows
    },
    reached: (rows, by) => {
      done = Math.max(done, rows)
      workers = by
    },
    ranges: (next) => {
      const news = !isDeepStrictEqual(next, ranges)
      ranges = next
      if (news) tell()
    },
    throttledBy: (reason) => {
      const news = reason !== throttledBy
      throttledBy = reason
      if (news) tell()
    },
    detail: (next) => {
      detail = next
    },
    end: () => clearInterval(timer),
  }
}
