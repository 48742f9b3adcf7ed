import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { type Services, startServices } from '../data/services.ts'
import { redisServer, type TestDatabase, testDatabase, waitFor } from '../support/index.ts'

const FOLDER = fileURLToPath(new URL('../../docs/examples/key-value-store', import.meta.url))
const ID = 'sessions-to-redis'
const ROWS = 30_000
const KILLS = ['server', 'worker', 'server'] as const

const redis = await redisServer()
afterAll(() => redis?.stop())

interface Places {
  readonly services: Services
  readonly target: TestDatabase
}

async function withServices(env: Readonly<Record<string, string>>, work: (places: Places) => Promise<void>) {
  const store = await testDatabase()
  const target = await testDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'switchback-step-'))
  const services = await startServices(store.url, target.url, folder, env)
  try {
    // The role of the test server is named like our schema, which "$user" would find first.
    target.pool.options.onConnect = (client) =>
      client.query('set search_path to public').then(() => undefined)
    await work({ services, target })
  } finally {
    await services.stop()
    await store.drop()
    await target.drop()
    await rm(folder, { recursive: true, force: true })
  }
}

const ended = (services: Services, kind: string) =>
  waitFor(
    async () => {
      const { works } = await services.migration(ID)
      const work = works.find((each) => each.kind === kind)
      if (work?.status === 'failed') throw new Error(JSON.stringify(work))
      return work?.status === 'done' ? work : undefined
    },
    { what: `${kind} to end`, timeoutMs: 60_000 },
  )

describe.skipIf(redis === undefined)('sessions move to Redis', () => {
  test('by a step in TypeScript, whose server and worker are killed meanwhile', {
    timeout: 240_000,
  }, async () => {
    const url = redis?.url ?? ''
    await withServices({ MIGRATIONS_DIR: FOLDER, SESSIONS_REDIS_URL: url }, async ({ services, target }) => {
      const client = new Redis(url)
      try {
        await target.pool.query(`create table sessions (id uuid primary key, user_id bigint not null, payload jsonb not null,
            seen_at timestamptz not null);
          insert into sessions select md5(i::text)::uuid, i % 500, jsonb_build_object('n', i, 'text', repeat('é', i % 50)),
            timestamptz '2026-11-01' + i * interval '1 second' from generate_series(1, ${ROWS}) i`)
        await services.call('POST', `/v1/migrations/${ID}/throttle`, { rowsPerSecond: 10_000 })
        for (const phase of ['expanded', 'dual-write', 'backfill']) await services.advance(ID, phase)
        for (const [i, which] of KILLS.entries()) {
          const before = (i + 1) * 4_000
          await waitFor(async () => (await client.dbsize()) >= before, { what: `${before} rows in Redis` })
          await services.kill(which)
        }
        expect((await ended(services, 'backfill')).result).toMatchObject({ rows: ROWS, failedRows: 0 })
        expect(await client.dbsize()).toBe(ROWS)

        await client.set('session:00000000-0000-0000-0000-000000000000', '{}')
        const { rows } = await target.pool.query<{ id: string }>(
          'select id::text from sessions order by id limit 2',
        )
        await client.del(`session:${rows[0]?.id}`)
        await client.set(`session:${rows[1]?.id}`, JSON.stringify({ user_id: '1' }))
        await services.advance(ID, 'shadow')
        expect((await ended(services, 'verify')).result).toMatchObject({ repaired: 3, divergences: 0 })
        const all = await target.pool.query<{ id: string; values: unknown }>(
          `select id::text, jsonb_build_object('user_id', user_id::text, 'payload', payload::text,
             'seen_at', seen_at::text) as values from (select set_config('timezone', 'UTC', false)) utc, sessions`,
        )
        const texts = await client.mget(all.rows.map(({ id }) => `session:${id}`))
        expect(texts.map((text) => JSON.parse(text ?? 'null'))).toEqual(all.rows.map(({ values }) => values))
        expect(await client.dbsize()).toBe(ROWS)
      } finally {
        client.disconnect()
      }
    })
  })
})

test('code that is posted is not run: a server without the folder refuses it, and says what to do', async () => {
  await withServices({}, async ({ services }) => {
    const yaml = await readFile(join(FOLDER, 'migration.yaml'), 'utf8')
    await expect(
      services.call('POST', '/v1/migrations', { yaml, sql: { expand: '-- nothing' } }),
    ).rejects.toThrow(
      /422 .*step-not-here.*put the folder of sessions-to-redis .* under MIGRATIONS_DIR.*never taken over this API/,
    )
  })
})
