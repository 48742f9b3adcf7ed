import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EPOCH_MARGIN } from '@switchback/migrations-registry'
import { connect } from '@switchback/sdk'
import { spawnNode, tcpProxy, testDatabase, waitFor } from '@switchback/test/support'
import { afterEach, expect, it } from 'vitest'
import { ADMIN, advanceTo, exampleMigration, type Service, startService, tokenOf } from './service.ts'

const MAIN = join(dirname(createRequire(import.meta.url).resolve('@switchback/server')), 'main.js')
const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

interface View {
  readonly compared: boolean
  readonly state: { readonly phase: string; readonly epoch: number; readonly latch?: object }
}

it('a server on files from a backup listens while its target is away, and gives no epoch out twice', async () => {
  const target = await testDatabase()
  cleanup.push(() => target.drop())
  await target.pool.query(`create table users (id uuid primary key, bio text, preferences jsonb,
    created_at timestamptz default now())`)
  const url = new URL(target.url)
  const proxy = await tcpProxy(url.hostname, Number(url.port))
  cleanup.push(() => proxy.stop())
  url.port = String(proxy.port)
  const folder = await mkdtemp(join(tmpdir(), 'switchback-restored-'))
  // PostgreSQL may run as another user.
  await chmod(folder, 0o755)
  cleanup.push(() => rm(folder, { recursive: true, force: true }))
  const data = join(folder, 'data')
  const environment = { SWITCHBACK_DATA: data, TARGET_MAIN_URL: url.href, DATABASE_URL: undefined }
  const start = async (port?: number): Promise<Service> => {
    const server = await startService(environment, port)
    cleanup.push(() => server.process.kill('SIGTERM'))
    return server
  }
  const view = async (server: Service) =>
    (await server.call<View>('GET', '/v1/migrations/user-profiles')).body
  const revert = (server: Service) =>
    server.call<{ code?: string }>('POST', '/v1/migrations/user-profiles/revert', { reason: 'slow' })

  // A backup of the files at dual-write; then it goes on to shadow, and the target is told.
  const first = await start()
  expect((await first.call('POST', '/v1/migrations', await exampleMigration())).status).toBe(201)
  const token = await tokenOf(first, 'sdk')
  await advanceTo(first, 'dual-write')
  await first.process.kill('SIGTERM')
  // With its owners, as `node:fs` does not.
  await promisify(execFile)('cp', ['-a', data, join(folder, 'backup')])
  const second = await start(first.port)
  await advanceTo(second, 'shadow')
  const { epoch } = (await view(second)).state
  const told = async () =>
    (await target.pool.query<{ seen: string }>('select seen from switchback.fences')).rows[0]?.seen
  await waitFor(async () => Number(await told()) === epoch, { what: 'the target to be told' })
  await second.process.kill('SIGTERM')
  await rm(data, { recursive: true })
  await rename(join(folder, 'backup'), data)

  proxy.cut()
  const server = await start(first.port)
  expect(await view(server)).toMatchObject({ compared: false, state: { phase: 'dual-write' } })
  // Instances get their flags, and people their answers.
  const client = await connect({ url: server.url, token, app: 'rides-api', version: '1', instance: 'one' })
  cleanup.push(() => client.close())
  const handler = async (key: string) => key
  client.migration('user-profiles', {
    key: (key: string) => key,
    read: { old: handler, new: handler },
    write: { old: handler, new: handler },
  })
  await client.ready()
  expect(client.evaluate('user-profiles.write').variant).toBe('dual-old')
  expect(await revert(server)).toMatchObject({ status: 409, body: { code: 'target-not-compared' } })
  const cli = spawnNode([MAIN, 'revert', 'user-profiles', '--reason', 'slow'], {
    env: { SWITCHBACK_URL: server.url, SWITCHBACK_TOKEN: ADMIN },
  })
  expect((await cli.exited).code).not.toBe(0)
  expect(cli.output()).toContain('what to do: See that the server reaches target "main"')
  expect((await view(server)).state.epoch).toBeLessThan(epoch)

  proxy.heal()
  await waitFor(async () => (await view(server)).compared, { what: 'the target to be compared' })
  expect((await view(server)).state).toMatchObject({ phase: 'shadow', epoch: epoch + EPOCH_MARGIN })
  expect((await revert(server)).status).toBe(200)
  expect((await view(server)).state).toMatchObject({ phase: 'dual-write', epoch: epoch + EPOCH_MARGIN + 1 })
})
