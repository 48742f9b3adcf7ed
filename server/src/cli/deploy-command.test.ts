import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testStore } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { registrationOf, testApi } from '../http/test-api.ts'
import { runForTests } from './run-for-tests.ts'

const store = await testStore()
const api = testApi(store.db)
const server = createServer(api.app)
const folder = await mkdtemp(join(tmpdir(), 'manifests-'))
let url = ''
let token = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  token = await api.token('sdk')
  await api.ramped('profiles', 'apps: [rides-api]\n')
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await api.stop()
  await store.drop()
  await rm(folder, { recursive: true })
})

const canIDeploy = (args: readonly string[], given: { input?: string; token?: string; url?: string } = {}) =>
  runForTests(['can-i-deploy', ...args], {
    env: { SWITCHBACK_URL: given.url ?? url, SWITCHBACK_TOKEN: given.token ?? token },
    input: async () => given.input ?? '',
  })
const manifest = (handlers: readonly string[], more: object = {}) =>
  JSON.stringify({ migrations: { profiles: { handlers, fenced: true } }, ...more })

test('a version that has what the phase needs may be deployed: 0', async () => {
  const file = join(folder, 'both.json')
  await writeFile(file, manifest(['old', 'new'], { app: 'rides-api', version: '1.4.2' }))
  expect(await canIDeploy(['--handlers', file])).toEqual({
    code: 0,
    err: '',
    out: 'rides-api 1.4.2  yes  (by its manifest)\nprofiles  ramp, needs old and new; has old and new  yes\n',
  })
})

test('one that would be refused may not: 1, with why and what to do', async () => {
  const args = ['--app', 'rides-api', '--version', '1.3.0', '--handlers', '-']
  const { code, out } = await canIDeploy(args, { input: manifest(['old']) })
  expect(code).toBe(1)
  expect(out).toMatch(
    /refused-now {2}profiles is at ramp, which needs handlers for new; rides-api 1\.3\.0 has old\./,
  )
  expect(out).toContain('what to do: Deploy a version that has them')
  const json = await canIDeploy([...args, '--json'], { input: manifest(['old']) })
  expect(json.code).toBe(1)
  expect(JSON.parse(json.out)).toMatchObject({ verdict: 'no', migrations: [{ missing: ['new'] }] })
})

test('one that nobody has seen is unknown: 2; after an instance of it has registered the answer is there', async () => {
  const args = ['--app', 'rides-api', '--version', '1.0.0']
  const before = await canIDeploy(args)
  expect(before).toMatchObject({
    code: 2,
    out: expect.stringContaining('unknown  (its handlers are unknown)'),
  })
  await api.fleet.register(registrationOf('i-1', 'profiles'))
  expect(await canIDeploy(args)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^rides-api 1\.0\.0 {2}yes {2}\(by what its instances told .* ago\)/),
  })
})

test.each([
  ['no version', ['--app', 'a'], {}, 'say which: --app and --version'],
  ['no file', ['--handlers', '/nonexistent/x.json'], {}, '/nonexistent/x.json cannot be read: ENOENT'],
  ['no JSON', ['--handlers', '-'], { input: 'handlers:' }, 'the input is not JSON'],
  [
    'an unknown path',
    ['--handlers', '-'],
    { input: manifest(['older'], { app: 'a', version: '1' }) },
    'migrations.profiles.handlers.0: Invalid option',
  ],
  [
    'a manifest of another version',
    ['--version', '2', '--handlers', '-'],
    { input: manifest(['old'], { app: 'a', version: '1' }) },
    'the manifest is of another version: 1 instead of 2',
  ],
  ['a token that is not known', ['--app', 'a', '--version', '1'], { token: 'wrong' }, 'A token is needed'],
  [
    'no server',
    ['--app', 'a', '--version', '1'],
    { url: 'http://127.0.0.1:1' },
    'no server answers at http://127.0.0.1:1',
  ],
] as const)('%s is no answer, and never a yes or a no: 2', async (_, args, given, message) => {
  const { code, out, err } = await canIDeploy(args, given)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain(message)
})
