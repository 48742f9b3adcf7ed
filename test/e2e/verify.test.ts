import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { spawnNode, type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ADMIN, advanceTo, exampleMigration, type Service, startService } from './service.ts'

const MAIN = join(dirname(createRequire(import.meta.url).resolve('@switchback/server')), 'main.js')

let store: TestDatabase
let target: TestDatabase
let service: Service
beforeAll(async () => {
  store = await testDatabase()
  target = await testDatabase()
  await target.pool.query(`
    create table public.users (id uuid primary key, email text, bio text, preferences jsonb not null default '{}',
      created_at timestamptz not null default now());
    insert into public.users (id, bio) select gen_random_uuid(), 'bio ' || i from generate_series(1, 2000) i`)
  service = await startService({ DATABASE_URL: store.url, TARGET_MAIN_URL: target.url })
  const registered = await service.call('POST', '/v1/migrations', await exampleMigration())
  expect(registered.status).toBe(201)
})
afterAll(async () => {
  await service.process.kill('SIGTERM')
  await Promise.all([store.drop(), target.drop()])
})

/** The command as a pipeline runs it. */
async function verify(...args: string[]): Promise<{ code: number | null; output: string }> {
  const command = spawnNode([MAIN, 'verify', 'user-profiles', ...args], {
    env: { SWITCHBACK_URL: service.url, SWITCHBACK_TOKEN: ADMIN },
  })
  const { code } = await command.exited
  return { code, output: command.output() }
}

test('switchback verify compares now, waits, and ends by what it found', async () => {
  await advanceTo(service, 'dual-write')
  const early = await verify()
  expect(early).toMatchObject({
    code: 1,
    output: expect.stringContaining('the migration stands at dual-write'),
  })

  await advanceTo(service, 'ramp')
  expect(await verify()).toMatchObject({
    code: 0,
    output: expect.stringContaining('user-profiles: 2000 rows compared, all equal'),
  })

  // Somebody writes past the SDK.
  await target.pool.query(`update public.users set bio = 'by hand' where bio in ('bio 7', 'bio 8')`)
  expect(await verify()).toMatchObject({
    code: 0,
    output: expect.stringContaining('2000 rows compared, 2 differed and were repaired'),
  })

  await target.pool.query(`
    alter table public.user_profiles add check (bio is distinct from 'forbidden');
    update public.users set bio = 'forbidden' where bio = 'bio 9'`)
  const failed = await verify('--json')
  expect(failed.code).toBe(1)
  expect(failed.output).toContain('1 keys still differ after repair')

  const { body } = await service.call<{ events: { kind: string; actor: string }[] }>(
    'GET',
    '/v1/events?subject=user-profiles&limit=100',
  )
  expect(body.events.filter(({ kind }) => kind === 'migration.verification-asked')).toHaveLength(3)
})
