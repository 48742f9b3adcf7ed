import { defaultConfig, type MigrationConfig } from '@switchback/migrations-registry'
import { connect, pgTransaction } from '@switchback/sdk'
import { createExecution } from '@switchback/server'
import pg from 'pg'
import type { SuiteResult } from '../main.ts'
import { compareCalls, quantile } from '../measure.ts'
import { SILENT, withPostgres } from '../support.ts'

const KEYS = 10_000
const ROUNDS = 21
const CALLS = 150
const UPDATE_OLD = 'update accounts set balance = balance + 1 where id = $1'
const UPDATE_NEW = 'update balances set balance = balance + 1 where account_id = $1'

/** A guarded dual write (fence, key lock, savepoint, both paths) against two plain updates in one transaction. */
export function run(say: (line: string) => void): Promise<SuiteResult> {
  return withPostgres(async ({ url }) => {
    const pool = new pg.Pool({ connectionString: url, max: 2 })
    const execution = createExecution({ url, log: SILENT, clock: Date.now, archiveDir: '.' })
    try {
      await pool.query(`create table accounts (id int primary key, balance int not null);
        create table balances (account_id int primary key, balance int not null);
        insert into accounts select i, 0 from generate_series(1, ${KEYS}) i;
        insert into balances select i, 0 from generate_series(1, ${KEYS}) i`)
      await execution.prepare('bench')
      const routed = await openRouter(pool)
      const single: number[] = []
      let next = 0
      const key = () => (next++ % KEYS) + 1
      const contestants = [
        {
          name: 'plain',
          run: (count: number) => times(count, () => plainTransaction(pool, key())),
        },
        {
          name: 'guarded',
          run: (count: number) =>
            times(count, async () => {
              const start = performance.now()
              await routed.write(String(key()))
              single.push(performance.now() - start)
            }),
        },
      ]
      const result = await compareCalls(contestants, { rounds: ROUNDS, calls: CALLS })
      const plain = result.get('plain') ?? Number.NaN
      const guarded = result.get('guarded') ?? Number.NaN
      say(`plain ${(plain / 1e6).toFixed(3)} ms, guarded ${(guarded / 1e6).toFixed(3)} ms`)
      await routed.close()
      return {
        suite: 'transaction',
        ratios: { guardedVsPlain: guarded / plain },
        milliseconds: { plain: plain / 1e6, guarded: guarded / 1e6, guardedP99: quantile(single, 0.99) },
        rounds: ROUNDS,
        calls: CALLS,
      }
    } finally {
      await execution.end()
      await pool.end()
    }
  })
}

async function times(count: number, call: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await call()
}

async function plainTransaction(pool: pg.Pool, key: number): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(UPDATE_OLD, [key])
    await client.query(UPDATE_NEW, [key])
    await client.query('commit')
  } finally {
    client.release()
  }
}

async function openRouter(pool: pg.Pool) {
  const config: MigrationConfig = {
    ...defaultConfig('bench'),
    epoch: 1,
    phase: 'backfill',
    write: 'dual-old',
    fenced: true,
  }
  const client = await connect({
    url: 'http://127.0.0.1:9',
    token: 'none',
    app: 'bench',
    version: '1',
    startTimeout: 0,
    bootstrap: { revision: 1, migrations: [config], flags: [] },
    log: SILENT,
  })
  const migration = client.migration('bench', {
    key: (key: string) => key,
    transaction: pgTransaction(pool),
    write: {
      old: (key, tx) => tx.query(UPDATE_OLD, [key]),
      new: (key, tx) => tx.query(UPDATE_NEW, [key]),
    },
  })
  return { write: (key: string) => migration.write(key), close: () => client.close() }
}
