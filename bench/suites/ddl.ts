import { setTimeout as sleep } from 'node:timers/promises'
import { definitionSchema } from '@switchback/migrations-registry'
import { createExecution } from '@switchback/server'
import pg from 'pg'
import type { SuiteResult } from '../main.ts'
import { SILENT, withPostgres } from '../support.ts'
import { type Habit, startTraffic } from '../traffic.ts'

const ROWS = 1_000_000
/** How long a session is idle in a transaction that has read the table. */
const IN_THE_WAY_MS = 8_000
const LOCK_TIMEOUT_MS = 2_000
const CALM_MS = 1_500

const BEFORE = `
  drop table if exists rides;
  create table rides (id bigint primary key, rider int not null, status text not null, note text);
  insert into rides select i, i % 50000, 'done', md5(i::text) from generate_series(1, ${ROWS}) i;
  analyze rides`

// The same change, as one writes it and as the lint says it should be written.
const NAIVE = [
  'alter table rides add column region text',
  'create index rides_rider on rides (rider)',
  `alter table rides add constraint rider_positive check (rider >= 0)`,
  'alter table rides alter column note set not null',
]
const OURS = `
  alter table rides add column region text;
  create index concurrently rides_rider on rides (rider);
  alter table rides add constraint rider_positive check (rider >= 0) not valid;
  alter table rides validate constraint rider_positive;
  alter table rides add constraint note_there check (note is not null) not valid;
  alter table rides validate constraint note_there;
  alter table rides alter column note set not null;
  alter table rides drop constraint note_there`

interface Side {
  readonly longestStallMs: number
  readonly p99Ms: number
  readonly queries: number
  readonly seconds: number
}

const anyRow = (): number => 1 + Math.floor(Math.random() * ROWS)
/** Reads and writes of single rows of `rides`. */
const APPLICATION: readonly Habit[] = [
  {
    sessions: 3,
    query: (client) => client.query('select id, rider, status from rides where id = $1', [anyRow()]),
  },
  {
    sessions: 3,
    query: (client) => client.query(`update rides set status = 'paid' where id = $1`, [anyRow()]),
  },
]

/** Traffic on a large table while its schema changes, with somebody idle in a transaction in the way. */
export async function run(say: (line: string) => void): Promise<SuiteResult> {
  return withPostgres(async ({ url }) => {
    const pool = new pg.Pool({ connectionString: url, max: 4 })
    // The holder is cut off when the server stops.
    pool.on('error', () => undefined)
    try {
      const measure = async (name: string, change: () => Promise<unknown>): Promise<Side> => {
        await pool.query(BEFORE)
        const traffic = await startTraffic(url, APPLICATION)
        await sleep(CALM_MS)
        const calm = traffic.since().longestMs
        const { gone } = await inTheWay(pool)
        const began = performance.now()
        await change()
        await gone
        const seconds = (performance.now() - began) / 1000
        await traffic.stop()
        const { longestMs, p99Ms, queries } = traffic.since()
        say(
          `${name}: longest stall ${longestMs.toFixed(0)} ms, p99 ${p99Ms.toFixed(1)} ms of ${queries} queries in ${seconds.toFixed(1)} s (${calm.toFixed(0)} ms without a change)`,
        )
        return { longestStallMs: longestMs, p99Ms, queries, seconds }
      }

      const naive = await measure('naive', async () => {
        for (const statement of NAIVE) await pool.query(statement)
      })
      const ours = await measure('switchback', () => expand(url))
      return {
        suite: 'ddl',
        ratios: {
          stallVsLockTimeout: ours.longestStallMs / LOCK_TIMEOUT_MS,
          stallVsNaive: ours.longestStallMs / naive.longestStallMs,
        },
        rows: ROWS,
        lockTimeoutMs: LOCK_TIMEOUT_MS,
        inTheWayMs: IN_THE_WAY_MS,
        naive,
        switchback: ours,
      }
    } finally {
      await pool.end()
    }
  })
}

/** Opens a transaction that has read the table; `gone` resolves when it has ended. */
async function inTheWay(pool: pg.Pool): Promise<{ readonly gone: Promise<void> }> {
  const holder = await pool.connect()
  await holder.query(
    `set application_name = 'nightly-report'; begin; select count(*) from rides where id < 10`,
  )
  const gone = sleep(IN_THE_WAY_MS).then(async () => {
    await holder.query('commit')
    holder.release()
  })
  return { gone }
}

async function expand(url: string): Promise<void> {
  const execution = createExecution({
    url,
    log: SILENT,
    archiveDir: '/nonexistent',
    clock: Date.now,
    ddl: { lockTimeoutMs: LOCK_TIMEOUT_MS },
  })
  try {
    await execution.prepare('bench')
    await execution.run('expand', {
      definition: definitionSchema.parse({ id: 'bench', title: 'The same change' }),
      sql: { expand: OURS },
      epoch: 2,
      signal: new AbortController().signal,
      report: () => undefined,
      heldBackBy: () => undefined,
      committing: async () => undefined,
    })
  } finally {
    await execution.end()
  }
}
