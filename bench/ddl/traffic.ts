import pg from 'pg'
import { quantile } from '../measure.ts'

const READERS = 3
const WRITERS = 3
/** A pause between queries, as an application has it: it is stalls that are looked for, not throughput. */
const PAUSE_MS = 4

export interface Traffic {
  /** Of all queries that have ended so far. */
  longestMs(): number
  /** Lets what is in flight end. */
  stop(): Promise<{ readonly longestMs: number; readonly p99Ms: number; readonly queries: number }>
}

/** An application that reads and writes single rows of `rides`, each of its sessions one query after the other. */
export async function startTraffic(url: string, rows: number): Promise<Traffic> {
  const times: number[] = []
  let stopped = false
  const anyRow = (): number => 1 + Math.floor(Math.random() * rows)
  const session = async (query: (client: pg.Client) => Promise<unknown>): Promise<void> => {
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
  const sessions = [
    ...Array.from({ length: READERS }, () =>
      session((client) => client.query('select id, rider, status from rides where id = $1', [anyRow()])),
    ),
    ...Array.from({ length: WRITERS }, () =>
      session((client) => client.query(`update rides set status = 'paid' where id = $1`, [anyRow()])),
    ),
  ]
  const longestMs = (): number => times.reduce((longest, ms) => Math.max(longest, ms), 0)
  return {
    longestMs,
    stop: async () => {
      stopped = true
      await Promise.all(sessions)
      return { longestMs: longestMs(), p99Ms: quantile(times, 0.99), queries: times.length }
    },
  }
}
