import type { Telemetry } from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { createHealthSlots } from './health-slots.ts'
import { rollUp, writeSlots } from './health-store.ts'

/** Keeps what the instances of this server measured, for charts. */
export interface HealthHistory {
  /** What an instance told this server; other servers write down what they are told. */
  record(batch: Telemetry): void
  /** Writes what has changed since the last time, and now and then adds up what is over. */
  flush(): Promise<void>
  start(): void
  stop(): Promise<void>
}

export interface HealthHistoryDeps {
  readonly db: Db
  readonly clock: Clock
  /** Of this process; no two have ever had the same. */
  readonly server: string
  readonly onFault: (error: unknown) => void
  readonly intervalMs: number
}

const ROLL_MS = 60_000

export function createHealthHistory(deps: HealthHistoryDeps): HealthHistory {
  const { db, clock, server, onFault, intervalMs } = deps
  const slots = createHealthSlots()
  let rolledAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let busy: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    const taken = slots.take()
    if (taken.length > 0) {
      try {
        await writeSlots(db, server, taken)
      } catch (error) {
        slots.giveBack(taken)
        throw error
      }
    }
    const now = clock()
    slots.forget(now)
    if (now - rolledAt < ROLL_MS) return
    rolledAt = now
    await rollUp(db, now)
  }

  // One after the other: a slot that is written twice must end with its later figures.
  const flush = (): Promise<void> => {
    const turn = busy.then(write)
    busy = turn.catch(() => undefined)
    return turn
  }

  return {
    record: ({ measurements }) => slots.add(measurements, clock()),
    flush,
    start: () => {
      timer ??= setInterval(() => void flush().catch(onFault), intervalMs).unref()
    },
    stop: async () => {
      clearInterval(timer)
      await flush().catch(onFault)
    },
  }
}
