import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { seededRandom } from '../demo/random.ts'
import { type TestDatabase, testDatabase, waitFor } from '../support/index.ts'
import { ACCOUNTS, type Accounts, DEFINITION, EXPAND, openAccounts } from './accounts.ts'
import { type Services, startServices } from './services.ts'

/** `KILLS=30 npx vitest run test/data` for the long run; the seed makes a run repeatable as far as processes are. */
const KILLS = Number(process.env.KILLS ?? 5)
const SEED = Number(process.env.SEED ?? 20261122)
const ROWS = Math.max(12_000, KILLS * 3_000)
const POISONED = [77, 5_000]

let store: TestDatabase
let target: TestDatabase
let folder: string
let services: Services
let accounts: Accounts

beforeEach(async () => {
  store = await testDatabase()
  target = await testDatabase()
  folder = await mkdtemp(join(tmpdir(), 'switchback-kill-'))
  // The role of the test server is named like our schema, which "$user" would find first.
  target.pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  await target.pool.query(`create table accounts (id int primary key, balance int not null, note text);
    insert into accounts select i, i % 1000 from generate_series(1, ${ROWS}) i`)
  services = await startServices(store.url, target.url, folder)
})
afterEach(async () => {
  accounts?.stopTraffic()
  await accounts?.traffic.catch(() => undefined)
  await accounts?.close()
  await services.stop()
  await store.drop()
  await target.drop()
  await rm(folder, { recursive: true, force: true })
})

const copied = async (): Promise<number> => {
  const { rows } = await target.pool.query(
    'select coalesce(sum(rows), 0)::int as rows from switchback.checkpoints where done',
  )
  return rows[0].rows
}

test(`nothing is lost and no range is copied twice when server and worker are killed ${KILLS} times in a backfill`, {
  timeout: 60_000 + KILLS * 15_000,
}, async () => {
  const { pool } = target
  await pool.query('update accounts set balance = 100000 where id = any($1)', [POISONED])
  const sql = { expand: EXPAND, rollback: 'drop table balances;' }
  await services.call('POST', '/v1/migrations', { yaml: DEFINITION, sql })
  const { token } = await services.call<{ token: string }>('POST', '/v1/tokens', {
    name: 'accounts',
    role: 'sdk',
  })
  accounts = await openAccounts(pool, { url: services.url, token, rows: ROWS, kept: POISONED })
  for (const phase of ['expanded', 'dual-write', 'backfill']) await services.advance(ACCOUNTS, phase)

  const random = seededRandom(SEED)
  for (let kill = 0; kill < KILLS; kill++) {
    const moment = ((kill + random()) / KILLS) * ROWS * 0.8
    await waitFor(async () => (await copied()) >= moment, {
      what: `${moment} copied rows`,
      timeoutMs: 60_000,
    })
    await services.kill(random() < 0.5 ? 'server' : 'worker')
  }
  const view = await waitFor(
    async () => {
      const now = await services.migration(ACCOUNTS)
      if (now.state.work?.status === 'failed') throw new Error(JSON.stringify(now.state.work))
      return now.state.work?.status === 'done' && now
    },
    { what: 'the end of the backfill', timeoutMs: 60_000 },
  )

  // The rows at fault are listed and block; mended, they are copied.
  expect(view.gate.blockers.map(({ code }) => code)).toContain('rows-failed')
  const failed = await services.call<{ rows: { key: string; sqlstate: string }[] }>(
    'GET',
    `/v1/migrations/${ACCOUNTS}/failed-rows`,
  )
  const there = await pool.query<{ id: number }>('select id from accounts where id = any($1)', [POISONED])
  expect(failed.rows.map(({ key, sqlstate }) => [Number(key), sqlstate])).toEqual(
    expect.arrayContaining(there.rows.map(({ id }) => [id, '22003'])),
  )
  await pool.query('update accounts set balance = 1 where id = any($1)', [POISONED])
  await services.call('POST', `/v1/migrations/${ACCOUNTS}/retry`)
  await services.advance(ACCOUNTS, 'shadow')
  await waitFor(async () => (await services.migration(ACCOUNTS)).state.work?.status === 'done', {
    what: 'the verification',
    timeoutMs: 60_000,
  })

  accounts.stopTraffic()
  expect(await accounts.traffic).toBeGreaterThan(0)
  expect(await accounts.lost()).toEqual([])
  const differing = await pool.query(
    `select a.id as old, b.account_id as new from accounts a full join balances b on b.account_id = a.id
       where (a.balance, a.note) is distinct from (b.balance, b.note)`,
  )
  expect(differing.rows).toEqual([])
  const verified = (await services.migration(ACCOUNTS)).works.find(({ kind }) => kind === 'verify')
  expect(verified?.result).toMatchObject({ divergences: 0, repaired: 0 })

  // Ranges of the first look follow each other without gap or overlap: each was copied by exactly one statement.
  const { rows: ranges } = await pool.query<{
    after_key: string[] | null
    up_to_key: string[]
    done: boolean
  }>(
    'select after_key, up_to_key, done from switchback.checkpoints where part = 0 order by up_to_key[1]::int',
  )
  expect(ranges.every(({ done }) => done)).toBe(true)
  expect(ranges.map(({ after_key: after }) => after?.[0])).toEqual([
    undefined,
    ...ranges.slice(0, -1).map(({ up_to_key: upTo }) => upTo[0]),
  ])
})
