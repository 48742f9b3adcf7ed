import type { Measurement, Telemetry } from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { Queryable } from '../db/db.ts'
import { createMerger } from './merge-measurements.ts'
import type { QuickTelemetry } from './redis-telemetry.ts'
import { type Chunk, deleteChunks, insertChunks, readChunks } from './telemetry-store.ts'

/** What instances measured, of every server: each hands what it is told to the others. */
export interface TelemetryExchange {
  /** What an instance told this server. */
  record(batch: Telemetry): void
  /** Reads what was told before this server was there, then begins to exchange. */
  start(): Promise<void>
  /** Passes on what is left. */
  stop(): Promise<void>
}

export interface TelemetryExchangeDeps {
  readonly db: Queryable
  readonly clock: Clock
  /** Of this process; no two have ever had the same. */
  readonly server: string
  readonly onMeasurements: (measurements: readonly Measurement[], at: number) => void
  readonly onFault: (error: unknown) => void
  /** How far back measurements are of use, in ms. */
  readonly reach: () => number
  /** Where there is a Redis: chunks go through it at once. */
  readonly quick?: (onChunk: (server: string, chunk: Chunk) => void) => QuickTelemetry
  readonly everyMs?: number
}

const EVERY_MS = 1000
/** With a quick way, chunks are made this often; they are written to the store together. */
const QUICK_MS = 200
/** Rows become visible within this time of being given their moment, or are missed. */
const LATE_MS = 5000
const CLEAN_MS = 60_000
/** Nothing is kept for longer, whatever tripwires say. */
export const MAX_REACH_MS = 3_600_000

export function createTelemetryExchange(deps: TelemetryExchangeDeps): TelemetryExchange {
  const { db, clock, server, everyMs = EVERY_MS } = deps
  const merger = createMerger()
  let seq = 0
  let unwritten: Chunk[] = []
  let since = 0
  let stopped = false
  let cleanedAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let quickTimer: NodeJS.Timeout | undefined
  let busy: Promise<void> | undefined
  /** Rows that were read, by id, with their moment; only those of the last moments are remembered. */
  const read = new Map<number, number>()
  /** Chunks that came the quick way and will come by the store again. */
  const seen = new Map<string, number>()

  const take = (from: string, chunk: Chunk): void => {
    const key = `${from} ${chunk.seq}`
    if (from === server || seen.has(key)) return
    seen.set(key, clock())
    deps.onMeasurements(chunk.measurements, chunk.at)
  }
  const quick = deps.quick?.(take)

  function cut(): void {
    if (merger.isEmpty) return
    const chunk = { seq: ++seq, at: clock(), measurements: merger.take() }
    unwritten.push(chunk)
    quick?.publish(server, chunk)
  }

  async function exchange(): Promise<void> {
    cut()
    const chunks = unwritten
    unwritten = []
    if (chunks.length > 0) {
      // The store may be away for long: what cannot be written is lost to the others, not piled up here.
      await insertChunks(db, server, chunks)
    }
    for (;;) {
      const rows = await readChunks(db, server, since, [...read.keys()])
      for (const row of rows) {
        read.set(row.id, row.at)
        since = Math.max(since, row.at - LATE_MS)
        for (const chunk of row.chunks) take(row.server, chunk)
      }
      if (rows.length < 2000) break
    }
    for (const [id, at] of read) if (at < since) read.delete(id)
    const now = clock()
    for (const [key, at] of seen) if (at < now - 60_000) seen.delete(key)
    if (now - cleanedAt < CLEAN_MS) return
    cleanedAt = now
    await deleteChunks(db, now - Math.min(deps.reach(), MAX_REACH_MS))
  }

  const turn = (): Promise<void> => {
    busy ??= exchange()
      .catch(deps.onFault)
      .finally(() => {
        busy = undefined
      })
    return busy
  }

  return {
    record: ({ measurements }) => {
      if (measurements.length === 0) return
      for (const measurement of measurements) merger.add(measurement)
      deps.onMeasurements(measurements, clock())
    },
    start: async () => {
      since = clock() - Math.min(deps.reach(), MAX_REACH_MS)
      await turn()
      if (stopped) return
      timer = setInterval(() => void turn(), everyMs)
      if (quick !== undefined) quickTimer = setInterval(cut, QUICK_MS)
    },
    stop: async () => {
      stopped = true
      clearInterval(timer)
      clearInterval(quickTimer)
      await busy
      await turn()
      quick?.stop()
    },
  }
}
