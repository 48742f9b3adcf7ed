import pg from 'pg'
import { quantile } from './measure.ts'

/** A pause between queries, as an application has it: it is stalls that are looked for, not throughput. */
const PAUSE_MS = 4

/** What some sessions of an application do over and over. */
export interface Habit {
  readonly sessions: number
  readonly query: (client: pg.Client) => Promise<unknown>
}

export interface TrafficTimes {
  readonly queries: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly longestMs: number
}

export interface Traffic {
  /** Of the queries that have ended since it was asked last. */
  since(): TrafficTimes
  /** Lets what is in flight end. */
  stop(): Promise<void>
}

/** An application, each of its sessions one query after the other. */
export async function startTraffic(url: string, habits: readonly Habit[]): Promise<Traffic> {
  let times: number[] = []
  let stopped = false
  const session = async (query: Habit['query']): Promise<void> => {
    const client = new pg.Client({ connectionString: url, application_name: 'rides-api' })
    await client.connect()
    while (!stopped) {
      const start = performance.now()
      await query(client)
      times.push(performance.now() - start)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
    await client.end()
  }
  const sessions = habits.flatMap(({ sessions: count, query }) =>
    Array.from({ length: count }, () => session(query)),
  )
  return {
    since: () => {
      const ended = times
      times = []
      return {
        queries: ended.length,
        p50Ms: quantile(ended, 0.5),
        p99Ms: quantile(ended, 0.99),
        longestMs: ended.reduce((longest, ms) => Math.max(longest, ms), 0),
      }
    },
    stop: async () => {
      stopped = true
      await Promise.all(sessions)
    },
  }
}
