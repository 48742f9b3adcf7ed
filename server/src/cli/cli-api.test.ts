import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { testStore } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { registrationOf, type TestApi, testApi } from '../http/test-api.ts'
import { runForTests } from './run-for-tests.ts'

const store = await testStore()
const FAILED = [
  { key: '17', sqlstate: '22003', error: 'value "100000" is out of range, says type smallint', failedAt: 1 },
  { key: '18', sqlstate: '23514', error: 'violates check', failedAt: 2 },
]
const SIGN_ON = {
  issuer: 'https://idp.example',
  clientId: 'switchback',
  name: 'Example ID',
  scopes: 'openid',
  origin: 'https://switchback.example',
  groupsClaim: 'groups',
  roles: [{ role: 'admin', group: 'platform' }],
  sessionMs: 3_600_000,
  idleMs: 3_600_000,
  signsOutAtProvider: true,
} as const
const RANGES = [
  { name: '2026-01', state: 'done', rows: 500, total: 500 },
  { name: '2026-02', state: 'copying', rows: 20, total: 400 },
] as const
const api: TestApi = testApi(store.db, {
  failedRows: async () => FAILED,
  copiedRanges: async () => RANGES,
  signOn: SIGN_ON,
})
const server = createServer(api.app)
let url = ''
let admin = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  admin = await api.token('admin')
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await api.stop()
  await store.drop()
})

const switchback = (...args: string[]) =>
  runForTests(args, { env: { SWITCHBACK_URL: url, SWITCHBACK_TOKEN: admin } })

/** The output of a command that has to succeed. */
async function output(...args: string[]): Promise<string> {
  const { code, out, err } = await switchback(...args)
  expect({ args, code, err }).toEqual({ args, code: 0, err: '' })
  return out
}

const folder = fileURLToPath(
  new URL('../../../migrations-registry/migrations/2026-11-user-profiles', import.meta.url),
)

test('a migration is registered, seen, advanced, and its refusals are told', async () => {
  expect(await output('migrations', 'register', folder)).toMatch(/^user-profiles: planned, epoch 1/)
  expect(await output('migrations')).toMatch(/\nuser-profiles +planned +1 +reads old, writes old/)
  await api.fleet.register(registrationOf('i-1', 'user-profiles'))
  expect(await output('status', 'user-profiles')).toMatch(/fleet +0 of 1 instances drained epoch 1/)
  expect(await output('gate', 'user-profiles')).toContain('instance-not-drained')
  const closed = await switchback('advance', 'user-profiles')
  expect(closed.code).toBe(1)
  expect(closed.err).toMatch(/The gate is closed\n[\s\S]*instance-not-drained +i-1/)
  expect(await output('instances')).toMatch(/\ni-1 +rides-api +1\.0\.0 .*left +user-profiles 0 \[old new\]/)
  expect(await output('instances', 'forget', 'i-1', '--reason', 'gone')).toBe('forgotten: i-1\n')
  expect(await output('advance', 'user-profiles')).toMatch(
    /^user-profiles: planned, epoch 1; .*, expand pending/,
  )
  expect(await switchback('status', 'nothing')).toMatchObject({
    code: 1,
    err: expect.stringContaining('There is no migration "nothing"'),
  })
})

test('a migration in ramp is rolled out, paused, reverted and re-armed', async () => {
  await api.ramped('ramped', 'rollout: [{ share: 10% }, { share: 100% }]\n')
  expect(await output('rollout', 'ramped', '--share', '12.5%')).toMatch(/ramp 12\.5%/)
  expect(await output('status', 'ramped')).toMatch(
    /reads new-shadow 12\.5 \/ old-shadow 87\.5, writes dual-old/,
  )
  await output('pause', 'ramped')
  expect(await output('status', 'ramped')).toContain('switchback pause ramped --off')
  await output('pause', 'ramped', '--off')
  expect(await output('override', 'ramped', '--read', 'old-shadow')).toMatch(/reads old-shadow,/)
  expect(await output('override', 'ramped', '--read', 'phase')).toMatch(/reads new-shadow/)
  expect(await output('revert', 'ramped', '--reason', 'empty bios')).toMatch(/^ramped: dual-write/)
  expect(await output('status', 'ramped')).toMatch(
    /latched +empty bios \(inc_.*; switchback rearm ramped to go on/,
  )
  const incidents = await output('incidents')
  const id = /inc_\S+/.exec(incidents)?.[0] ?? ''
  expect(await output('incidents', id)).toMatch(/reverted +ramp/)
  expect(await output('rearm', 'ramped', '--reason', 'mended')).toMatch(/^ramped: dual-write/)
  expect(await switchback('approve', 'ramped')).toMatchObject({
    code: 1,
    err: expect.stringContaining('Approval is not open'),
  })
  expect((await switchback('restore', 'ramped')).code).toBe(1)
  expect((await switchback('retry', 'ramped')).code).toBe(1)
})

test('failed rows are listed and kept, limits of copying are changed', async () => {
  expect(await output('failed-rows', 'ramped')).toMatch(/^17 {2}22003 {2}value.*\n18 {2}23514 {2}violates/)
  expect((await output('failed-rows', 'ramped', '--csv')).split('\n').slice(0, 2)).toEqual([
    'key,sqlstate,error,failedAt',
    '17,22003,"value ""100000"" is out of range, says type smallint",1',
  ])
  expect(JSON.parse((await output('failed-rows', 'ramped', '--jsonl')).split('\n')[1] ?? '')).toMatchObject({
    key: '18',
  })
  expect(await output('ranges', 'ramped')).toMatch(
    /range +state +rows +of\n2026-01 +done +500 +500\n2026-02 +copying +20 +400/,
  )
  expect(await output('throttle', 'ramped', '--set', 'rowsPerSecond=2000', 'latencyP99=50ms')).toBe(
    'ramped: {"rowsPerSecond":2000,"latencyP99":50}\n',
  )
  expect(await output('throttle', 'ramped', '--set', 'rowsPerSecond=off')).toMatch(/"rowsPerSecond":null/)
  expect(await switchback('throttle', 'ramped', '--set', 'nonsense')).toMatchObject({
    code: 2,
    err: expect.stringContaining('limit=value'),
  })
  expect(await output('backfill', 'ramped', '--off')).toBe('ramped: copying is held\n')
})

test('tokens, flags, alerts and the audit log', async () => {
  const text = (
    await output('token', 'create', '--name', 'ci', '--role', 'operator', '--migration', 'ramped')
  ).trim()
  expect(text).toMatch(/^sb_operator_/)
  const { tokens } = JSON.parse(await output('token', 'list', '--json')) as {
    tokens: { id: string; name: string }[]
  }
  const id = tokens.find(({ name }) => name === 'ci')?.id ?? ''
  expect(await output('migrations', '--token', text)).not.toContain('user-profiles')
  expect(await output('token', 'revoke', id)).toBe(`revoked: ${id}\n`)
  expect(await switchback('status', '--token', text)).toMatchObject({ code: 1 })
  expect(await output('token', 'list')).toMatch(new RegExp(`${id} +ci +operator +revoked`))
  await fetch(`${url}/v1/flags`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'banner', description: 'a banner' }),
  })
  expect(await output('flags')).toMatch(/banner +yes +on +a banner/)
  expect(await output('alerts')).toBe('No alerts.\n')
  expect(await output('audit', '--limit', '2')).toMatch(/flag\.created +banner/)
  expect(await output('audit', '--subject', id)).toMatch(/token\.revoked[\s\S]*token\.created/)
})

test('alert sources are made, listed, rotated and ended', async () => {
  const made = await output('alert-source', 'create', 'grafana-prod', '--kind', 'grafana', '--migration', 'm')
  expect(made).toMatch(
    /^address {2}http\S+\/v1\/hooks\/grafana-prod\nsecret {3}\S{40,} {2}\(shown this once\)\n$/,
  )
  const rotated = await output('alert-source', 'rotate', 'grafana-prod')
  const [, newer = '', older = ''] = /good +(\S+) (\S+)\n/.exec(rotated) ?? []
  expect(await output('alert-source', 'list')).toMatch(
    new RegExp(`grafana-prod +grafana +/v1/hooks/grafana-prod +m +${newer} ${older} +never`),
  )
  expect(await output('alert-source', 'rotate', 'grafana-prod', '--drop', older)).toMatch(
    `good     ${newer}\n`,
  )
  const taken = await switchback('alert-source', 'create', 'grafana-prod', '--kind', 'plain')
  expect(taken).toMatchObject({ code: 1, err: expect.stringContaining('The name is taken') })
  const topicless = await switchback('alert-source', 'create', 'aws', '--kind', 'cloudwatch')
  expect(topicless.err).toContain('expected the topics')
  expect(await output('alert-source', 'revoke', 'grafana-prod')).toBe('revoked: grafana-prod\n')
  expect(await output('alerts', '--dead')).toBe('No alerts.\n')
  expect(await switchback('alerts', 'replay', 'alr_none')).toMatchObject({ code: 1 })
})

test('channels are made, listed and removed, and an incident is taken up', async () => {
  const made = await output('channel', 'create', '#oncall', '--kind', 'webhook', '--to', `${url}/v1/flags`)
  expect(made).toMatch(/^made: #oncall\nsecret whsec_\S+ {2}\(shown this once\)\n$/)
  expect(await output('channel', 'list')).toMatch(/#oncall +webhook +http\S+ +all +all/)
  expect(await output('channel', 'test', '#oncall')).toBe('not sent: the answer was 401\n')
  await api.ramped('acked', 'owner: { team: t, contacts: ["#oncall"] }\n')
  await output('revert', 'acked', '--reason', 'empty bios')
  await api.notifier.run()
  const { notifications } = JSON.parse(await output('notifications', '--failed', '--json'))
  expect(await output('notifications')).toMatch(/#oncall +acked switched back +failed +the answer was 401/)
  expect(await output('notifications', 'retry', notifications[0].id)).toContain('waits to be sent')
  const { incidents } = JSON.parse(await output('incidents', '--migration', 'acked', '--json'))
  expect(await output('incident', 'ack', incidents[0].id)).toMatch(/^taken up by a admin/)
  expect((await switchback('incident', 'ack', incidents[0].id)).code).toBe(1)
  expect(await output('channel', 'remove', '#oncall')).toBe('removed: #oncall\n')
})

test('a runbook, a report, texts and figures are told', async () => {
  expect(await output('runbook', 'acked')).toMatch(/^# Runbook: Test of acked\n/)
  const { incidents } = JSON.parse(await output('incidents', '--migration', 'acked', '--json'))
  const [{ id }] = incidents
  expect(await output('incident', 'report', id)).toMatch(/^# acked reverted from ramp: empty bios\n/)
  expect(await output('incident', 'texts', id)).toMatch(/^investigating\n/)
  expect(await output('stats')).toMatch(/^success +0%: 0 completed/)
  expect(await switchback('rate', 'acked', '--score', '5')).toMatchObject({ code: 1 })
  expect(await switchback('runbook', 'nothing')).toMatchObject({ code: 1 })
})

test('sessions of people are listed and ended', async () => {
  expect(await output('session', 'list')).toBe('nobody is signed in by single sign-on\n')
  await store.db.query(
    `insert into identities (id, issuer, subject, name, first_seen_at, last_seen_at)
     values ('idn_1', $1, 'ann', 'ann@example.com', now(), now())`,
    [SIGN_ON.issuer],
  )
  await store.db.query(
    `insert into sessions (id, hash, identity, groups, started_at, used_at, expires_at)
     values ('ses_1', 'x', 'idn_1', '{platform}', now(), now(), now() + interval '1 hour')`,
  )
  expect(await output('session', 'list')).toMatch(/\nses_1 +ann@example\.com +admin /)
  expect(await output('session', 'end', 'ses_1')).toBe('ended: ses_1\n')
  expect((await switchback('session', 'end', 'ses_1')).err).toContain('There is no such session')
})
