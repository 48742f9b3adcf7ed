import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DatabaseSignal, definitionSchema } from '@switchback/migrations-registry'
import { streamingReplica, waitFor, watchdog } from '@switchback/test/support'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BundledPostgres, startBundledPostgres } from '../postgres/bundled-postgres.ts'
import { createInspection } from '../target/inspection.ts'
import { createTarget, type Target } from '../target/target.ts'
import { createDatabaseSignals, type DatabaseSignals } from './database-signals.ts'

/** A server with the extension and a standby; two databases on it, one for each path. */
let folder: string
const servers: BundledPostgres[] = []
const targets = new Map<string, Target>()
const pools = new Map<string, pg.Pool>()
let standby: pg.Client

const definition = definitionSchema.parse({
  id: 'profiles',
  title: 'x',
  copy: { from: 'users', to: 'profiles', toTarget: 'analytics', key: { id: 'id' }, columns: { bio: 'bio' } },
  tripwires: ['lock-waits', 'long-transaction', 'replication-lag', 'slow-queries', 'connection-errors'].map(
    (signal) => ({
      watch: 'database',
      signal,
      above: signal.includes('-e') || signal === 'lock-waits' ? 1 : '1s',
      do: 'notify',
    }),
  ),
})

async function started(server: Promise<BundledPostgres>): Promise<BundledPostgres> {
  const postgres = await server
  servers.push(postgres)
  watchdog().end(postgres.pid, 'SIGQUIT')
  return postgres
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchback-signals-'))
  chmodSync(folder, 0o755)
  watchdog().remove(folder)
  const primary = await started(
    startBundledPostgres({
      dataDir: join(folder, 'primary'),
      settings: {
        fsync: 'off',
        max_connections: 20,
        shared_buffers: '16MB',
        wal_keep_size: '64MB',
        shared_preload_libraries: 'pg_stat_statements',
      },
    }),
  )
  const admin = new pg.Client({ connectionString: primary.url })
  await admin.connect()
  for (const [name, table] of [
    ['main', 'users'],
    ['analytics', 'profiles'],
  ] as const) {
    await admin.query(`create database ${name}`)
    const url = new URL(primary.url)
    url.pathname = `/${name}`
    const pool = new pg.Pool({ connectionString: url.href })
    pool.on('error', () => undefined)
    pools.set(name, pool)
    targets.set(name, createTarget({ url: url.href, name: 'switchback', onIdleError: () => undefined }))
    await pool.query(`create table public.${table} (id int primary key, bio text)`)
    await pool.query('create extension pg_stat_statements')
  }
  await admin.end()
  const replica = await started(streamingReplica(primary, join(folder, 'standby')))
  standby = new pg.Client({ connectionString: replica.url })
  await standby.connect()
}, 60_000)
afterAll(async () => {
  await standby?.end()
  for (const target of [nobody, ...targets.values()]) await target.end()
  for (const pool of pools.values()) await pool.end()
  for (const postgres of servers.reverse()) {
    await postgres.stop()
    watchdog().forget(postgres.pid)
  }
  rmSync(folder, { recursive: true, force: true })
})

const targetOf = (name: string): Target => {
  const target = targets.get(name)
  if (target === undefined) throw new Error(`no target ${name}`)
  return target
}
const pool = (name: string): pg.Pool => {
  const found = pools.get(name)
  if (found === undefined) throw new Error(`no database ${name}`)
  return found
}
// Port 9 is for what is to be discarded; nobody listens there.
const nobody = createTarget({
  url: 'postgres://nobody@127.0.0.1:9/nowhere',
  name: 'switchback',
  onIdleError: () => undefined,
})
const signals = (gone?: string): DatabaseSignals =>
  createDatabaseSignals({
    clock: Date.now,
    inspectedOf: () =>
      [
        ['main', 'users'],
        ['analytics', 'profiles'],
      ].map(([target = '', table = '']) => ({
        target,
        tables: [table],
        inspection: createInspection(target === gone ? nobody : targetOf(target)),
      })),
  })
async function latest(of: DatabaseSignals, signal: DatabaseSignal) {
  await of.read(definition, 0)
  return of.of('profiles')[signal]?.at(-1)
}

test.each([
  ['main', 'users'],
  ['analytics', 'profiles'],
])(
  'sessions that wait for a lock in %s count, and so does the transaction they wait for',
  async (name, table) => {
    const holder = await pool(name).connect()
    const waiter = await pool(name).connect()
    let waiting: Promise<unknown> = Promise.resolve()
    try {
      await holder.query(`begin; lock table public.${table}`)
      waiting = waiter.query(`insert into public.${table} values (0)`)
      const reading = signals()
      await waitFor(async () => {
        const found = await latest(reading, 'lock-waits')
        return found !== undefined && 'value' in found && found.value === 1
      })
      expect(await latest(reading, 'long-transaction')).toMatchObject({ value: expect.any(Number) })
      const long = reading.of('profiles')['long-transaction']?.at(-1)
      expect(long !== undefined && 'value' in long ? long.value : 0).toBeGreaterThan(0)
    } finally {
      await holder.query('rollback')
      await waiting
      holder.release()
      waiter.release()
    }
  },
)

test.each([
  ['main', 'users'],
  ['analytics', 'profiles'],
])('statements on the tables that are slow in %s show in pg_stat_statements', async (name, table) => {
  await pool(name).query(`insert into public.${table} values (1) on conflict do nothing`)
  const reading = signals()
  expect(await latest(reading, 'slow-queries')).toMatchObject({ problem: 'being measured' })
  // As many quick ones in the other database change nothing: the one that is worse off counts.
  const [other, far] = name === 'main' ? ['analytics', 'profiles'] : ['main', 'users']
  for (let i = 0; i < 20; i++)
    await pool(other as string).query(`select bio from public.${far} where id = $1`, [i])
  await pool(name).query(`select id, pg_sleep(0.2) from public.${table} where id = 1`)
  const slow = await latest(reading, 'slow-queries')
  expect(slow).toMatchObject({ value: expect.any(Number) })
  expect(slow !== undefined && 'value' in slow ? slow.value : 0).toBeGreaterThanOrEqual(200)
  // What was slow before is no news.
  await pool(name).query(`select bio from public.${table} where id = 1`)
  const quick = await latest(reading, 'slow-queries')
  expect(quick !== undefined && 'value' in quick ? quick.value : Number.NaN).toBeLessThan(200)
})

test('a migration without paths is told of the whole database', async () => {
  const reading = createDatabaseSignals({
    clock: Date.now,
    inspectedOf: () => [{ target: 'main', tables: [], inspection: createInspection(targetOf('main')) }],
  })
  const holder = await pool('main').connect()
  const waiter = await pool('main').connect()
  let waiting: Promise<unknown> = Promise.resolve()
  try {
    await pool('main').query('create table if not exists public.other (id int)')
    await holder.query('begin; lock table public.other')
    waiting = waiter.query('insert into public.other values (0)')
    await waitFor(async () => {
      const found = await latest(reading, 'lock-waits')
      return found !== undefined && 'value' in found && found.value === 1
    })
    expect(await latest(reading, 'slow-queries')).toMatchObject({ value: expect.any(Number) })
  } finally {
    await holder.query('rollback')
    await waiting
    holder.release()
    waiter.release()
  }
})

test('a standby that replays no more lags, and catches up when it goes on', async () => {
  const reading = signals()
  const lag = async (): Promise<number> => {
    await pool('main').query('insert into public.users select max(id) + 1 from public.users')
    const found = await latest(reading, 'replication-lag')
    if (found === undefined || !('value' in found)) throw new Error(`no lag: ${JSON.stringify(found)}`)
    return found.value
  }
  await waitFor(async () => (await lag()) < 1000)
  await standby.query('select pg_wal_replay_pause()')
  await waitFor(async () => (await lag()) > 1500, { what: 'the lag to show' })
  await standby.query('select pg_wal_replay_resume()')
  await waitFor(async () => (await lag()) < 1000, { what: 'the standby to catch up' })
})

test('a database that cannot be asked is named, and counts as a connection error', async () => {
  const reading = signals('analytics')
  expect(await latest(reading, 'lock-waits')).toMatchObject({
    problem: expect.stringMatching(/^the target "analytics" cannot be asked: .*ECONNREFUSED/),
  })
  expect(await latest(reading, 'connection-errors')).toMatchObject({ value: 2 })
})
