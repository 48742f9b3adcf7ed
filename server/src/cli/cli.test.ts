import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  configOf,
  definitionSchema,
  initialState,
  judgeGate,
  type MigrationState,
} from '@switchback/migrations-registry'
import { freePort } from '@switchback/test/support'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from './cli.ts'

interface Asked {
  readonly method: string
  readonly path: string
  readonly token: string | undefined
  readonly body: unknown
}
type Reply = { readonly status?: number; readonly body: unknown; readonly raw?: string }

/** Answers over real HTTP, by method and path; a list is used up one by one, its last stays. */
let replies: Record<string, Reply | Reply[]> = {}
let asked: Asked[] = []
const server = createServer(async (request, response) => {
  const key = `${request.method} ${request.url}`
  asked.push({
    method: request.method ?? '',
    path: request.url ?? '',
    token: request.headers.authorization,
    body: await bodyOf(request),
  })
  const found = replies[key]
  const reply = Array.isArray(found) ? (found.length > 1 ? found.shift() : found[0]) : found
  response.writeHead(reply?.status ?? (reply === undefined ? 404 : 200), {
    'content-type': 'application/json',
  })
  response.end(
    reply?.raw ?? JSON.stringify(reply?.body ?? { title: 'Not found', status: 404, detail: `no ${key}` }),
  )
})
let url = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => new Promise((resolve) => server.close(resolve)))
afterEach(() => {
  replies = {}
  asked = []
})

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString())
}

async function run(args: readonly string[], given: { isTty?: boolean; env?: Record<string, string> } = {}) {
  let out = ''
  let err = ''
  const code = await runCli(args, {
    version: '0.1.0',
    serve: async () => 0,
    worker: async () => 0,
    terminal: {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      isTty: given.isTty ?? false,
      env: given.env ?? { SWITCHBACK_URL: url, SWITCHBACK_TOKEN: 'secret' },
      now: () => 1_000_000,
      fetch,
    },
  })
  return { code, out, err }
}

const definition = definitionSchema.parse({
  id: 'user-profiles',
  title: 'Profiles move',
  copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { c: 'c' } },
  rollout: [{ share: '10%' }, { share: '100%' }],
})
function view(given: Partial<MigrationState> = {}, works: object[] = []) {
  const state = { ...initialState('user-profiles', 0), ...given }
  const gate = judgeGate(definition, state, {
    now: 1_000_000,
    instances: [],
    repairs: { old: 0, new: 0 },
    failedRows: 0,
    hasContractSql: true,
    dependencies: [],
  })
  const { id, title } = definition
  const fleet = { instances: 3, drained: 2, lapsed: ['c'] }
  return { id, title, definition, state, config: configOf(definition, state), gate, works, fleet }
}
const instance = (id: string, drained: number, live = true) => ({
  id,
  app: 'rides-api',
  version: '1.0.0',
  server: 's',
  registeredAt: 0,
  lastSeen: 999_000,
  leaseUntil: live ? 1_014_000 : 990_000,
  live,
  migrations: { 'user-profiles': { handlers: ['old', 'new'], fenced: true, applied: 7, drained } },
})

describe('status', () => {
  const ramp: Partial<MigrationState> = {
    phase: 'ramp',
    epoch: 7,
    rollout: { step: 0, share: 0.1, canary: [] },
    complete: { old: true, new: true },
  }

  test('of one migration fits on a screen', async () => {
    replies['GET /v1/migrations/user-profiles'] = { body: view(ramp) }
    const { code, out, err } = await run(['status', 'user-profiles'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toBe(
      [
        'user-profiles  ramp 10%   epoch 7   reads new-shadow 10 / old-shadow 90, writes dual-old',
        'fleet          2 of 3 instances drained epoch 7; not heard of: c',
        'next           100%; gate open        way back: instant',
        '',
      ].join('\n'),
    )
    expect(asked[0]?.token).toBe('Bearer secret')
  })

  test('shows colours to a person only, and names from elsewhere cannot steer the terminal', async () => {
    const evil = view({ ...ramp, latch: { at: 0, reason: 'x\u001b[2J\u001b]0;owned\u0007' } })
    replies['GET /v1/migrations/user-profiles'] = { body: evil }
    const dull = await run(['status', 'user-profiles'])
    expect(dull.out).not.toContain('\u001b')
    const bright = await run(['status', 'user-profiles'], { isTty: true, env: { SWITCHBACK_URL: url } })
    expect(bright.out).toContain('\u001b[')
    expect(bright.out).not.toContain('\u001b[2J')
    const plain = await run(['status', 'user-profiles'], {
      isTty: true,
      env: { SWITCHBACK_URL: url, NO_COLOR: '1' },
    })
    expect(plain.out).not.toContain('\u001b')
  })

  test('names the ranges that are done and worked on', async () => {
    const work = { kind: 'backfill', epoch: 4, status: 'running' } as const
    const active = [{ name: '2026-02', rows: 20, total: 400 }]
    const progress = { stage: 'copying', done: 520, total: 900, ranges: { all: 6, done: 1, active } }
    const body = view({ phase: 'backfill', epoch: 4, work }, [{ ...work, progress }])
    replies['GET /v1/migrations/user-profiles'] = { body }
    expect((await run(['status', 'user-profiles'])).out).toContain(
      'backfill: copying, 520 of 900 rows, 1 of 6 ranges done (now 2026-02: 20 of 400 rows)',
    )
  })

  test('of all is a table, and JSON is what the server says', async () => {
    const body = { migrations: [view(ramp)] }
    replies['GET /v1/migrations'] = { body }
    const { out } = await run(['status'])
    expect(out.split('\n')[1]).toMatch(/^user-profiles +ramp 10% +7 +reads/)
    for (const args of [['status'], ['migrations'], ['migrations', 'list']]) {
      expect(JSON.parse((await run([...args, '--json'])).out)).toEqual(JSON.parse(JSON.stringify(body)))
    }
  })
})

describe('refusals and faults', () => {
  const blockers = [
    { code: 'soak', subject: 'user-profiles', message: 'Soaks for 5m.', action: 'Wait.', forceable: true },
    { code: 'paused', subject: 'user-profiles', message: 'Paused.', action: 'Go on.', forceable: false },
  ]
  const problem = {
    title: 'Gate closed',
    status: 409,
    code: 'gate-closed',
    detail: 'd',
    action: 'Wait.',
    blockers,
  }

  test('a closed gate is told with its blockers and what to do, exit code 1', async () => {
    replies['POST /v1/migrations/user-profiles/advance'] = { status: 409, body: problem }
    const { code, out, err } = await run(['advance', 'user-profiles'])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain('Gate closed')
    expect(err).toMatch(/soak +user-profiles +Soaks for 5m\. +Wait\. \(--force soak\)/)
    expect(err).toContain('what to do: Wait.')
    const json = await run(['advance', 'user-profiles', '--json'])
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toEqual({ error: problem })
  })

  test.each([
    [['nonsense'], /unknown command 'nonsense'/],
    [['revert', 'm'], /required option '--reason <text>'/],
    [['gate'], /missing required argument 'id'/],
    [['rollout', 'm'], /either --share or --canaries/],
    [['rollout', 'm', '--share', '10'], /expected a percentage/],
    [['rollout', 'm', '--share', '110%'], /expected a percentage/],
    [['advance', 'm', '--force', 'soak'], /--force needs --reason/],
    [['token', 'create', '--name', 'x', '--role', 'king'], /Allowed choices are viewer/],
    [['validate', '/nowhere-at-all'], undefined],
  ])('%j is a wrong use', async (args, message) => {
    const { code, err } = await run(args)
    expect(code).toBe(message === undefined ? 1 : 2)
    if (message !== undefined) expect(err).toMatch(message)
    expect(err).not.toMatch(/\n +at /)
    expect(asked).toEqual([])
  })

  test('no server there is exit code 2, in one line', async () => {
    const gone = `http://127.0.0.1:${await freePort()}`
    const { code, err } = await run(['status', '--url', gone])
    expect(code).toBe(2)
    expect(err).toMatch(/^no server answers at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*\n$/)
  })

  test('something else that answers there is told from Switchback', async () => {
    replies['GET /v1/migrations'] = { body: null, raw: '<html>' }
    expect(await run(['status'])).toMatchObject({
      code: 2,
      err: `what answers at ${url} is not Switchback\n`,
    })
    replies['GET /v1/migrations'] = { status: 502, body: null, raw: '<html>' }
    expect(await run(['status'])).toMatchObject({ code: 1, err: expect.stringContaining('answered 502') })
  })

  test('without a token it says where one is looked for', async () => {
    replies['GET /v1/migrations'] = { status: 401, body: { title: 'No token', status: 401 } }
    const { code, err } = await run(['status'], { env: { SWITCHBACK_URL: url, SWITCHBACK_DATA: '/nowhere' } })
    expect(code).toBe(1)
    expect(err).toContain('set SWITCHBACK_TOKEN')
    expect(asked[0]?.token).toBeUndefined()
  })

  test('the admin token of a server in the same folder is found', async () => {
    const data = await mkdtemp(join(tmpdir(), 'switchback-cli-'))
    await writeFile(join(data, 'admin-token'), 'local\n')
    replies['GET /v1/migrations'] = { body: { migrations: [] } }
    await run(['status'], { env: { SWITCHBACK_URL: url, SWITCHBACK_DATA: data } })
    expect(asked[0]?.token).toBe('Bearer local')
    await rm(data, { recursive: true })
  })
})

describe('commands that change something', () => {
  test.each([
    [['rollout', 'm', '--share', '12.5%'], 'rollout', { share: 0.125 }],
    [['rollout', 'm', '--canaries', '2'], 'rollout', { canaries: 2 }],
    [['pause', 'm'], 'pause', {}],
    [['pause', 'm', '--off'], 'resume', {}],
    [['revert', 'm', '--reason', 'r'], 'revert', { reason: 'r' }],
    [['revert', 'm', '--to', 'expanded', '--reason', 'r'], 'revert', { to: 'expanded', reason: 'r' }],
    [['rearm', 'm', '--reason', 'r'], 'rearm', { reason: 'r' }],
    [['retry', 'm'], 'retry', {}],
    [['approve', 'm'], 'approve', {}],
    [['restore', 'm'], 'restore', {}],
    [
      ['override', 'm', '--read', 'old-shadow', '--write', 'phase'],
      'flags',
      { read: 'old-shadow', write: null },
    ],
    [
      ['advance', 'm', '--force', 'soak, paused', '--reason', 'r'],
      'advance',
      { force: ['soak', 'paused'], reason: 'r' },
    ],
  ])('%j', async (args, action, body) => {
    replies[`POST /v1/migrations/m/${action}`] = { body: view() }
    expect(await run(args)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^user-profiles: planned, epoch 1/),
    })
    expect(asked).toMatchObject([{ method: 'POST', body }])
  })

  test('forgetting an instance, and tokens', async () => {
    replies['DELETE /v1/instances/a%2Fb'] = { status: 204, body: null, raw: '' }
    expect(await run(['instances', 'forget', 'a/b', '--reason', 'gone'])).toMatchObject({
      code: 0,
      out: 'forgotten: a/b\n',
    })
    expect(asked[0]?.body).toEqual({ reason: 'gone' })
    replies['POST /v1/tokens'] = { body: { token: 'sb_sdk_x' } }
    expect(await run(['token', 'create', '--name', 'n', '--role', 'sdk'])).toMatchObject({
      out: 'sb_sdk_x\n',
    })
    replies['DELETE /v1/tokens/t1'] = { status: 204, body: null, raw: '' }
    expect(await run(['token', 'revoke', 't1'])).toMatchObject({ code: 0, out: 'revoked: t1\n' })
  })

  test('instances come page by page', async () => {
    const page = Array.from({ length: 500 }, (_, i) => instance(`i${String(i).padStart(3, '0')}`, 7))
    replies['GET /v1/instances?limit=500'] = { body: { instances: page, next: 'i499' } }
    replies['GET /v1/instances?limit=500&after=i499'] = { body: { instances: [instance('z', 6)] } }
    const { out } = await run(['instances'])
    expect(out.trimEnd().split('\n')).toHaveLength(502)
    expect(out).toMatch(
      /\nz +rides-api +1\.0\.0 +s +1s ago +14s left +user-profiles 7, drained 6 \[old new\]/,
    )
  })
})

describe('advance --wait', () => {
  const work = (status: string, progress: object, error?: string) => ({
    ...view(
      {
        phase: status === 'done' ? 'expanded' : 'planned',
        epoch: status === 'done' ? 2 : 1,
        ...(status === 'done'
          ? {}
          : {
              work: {
                kind: 'expand',
                epoch: 1,
                status: status as 'running',
                ...(error === undefined ? {} : { error }),
              },
            }),
      },
      [{ kind: 'expand', epoch: 1, status, progress }],
    ),
  })

  test('follows the work and ends when the phase is reached', async () => {
    replies['GET /v1/migrations/user-profiles'] = [
      { body: view() },
      { body: work('running', { stage: 'running expand.sql' }) },
      { body: work('done', {}) },
    ]
    replies['POST /v1/migrations/user-profiles/advance'] = { body: work('pending', {}) }
    const { code, out, err } = await run(['advance', 'user-profiles', '--wait'])
    expect({ code, out }).toEqual({
      code: 0,
      out: 'user-profiles: expanded, epoch 2; reads old, writes old\n',
    })
    expect(err).toBe('expand: pending\nexpand: running expand.sql\nexpanded\n')
  })

  test('ends with exit code 1 when the work fails', async () => {
    replies['GET /v1/migrations/user-profiles'] = [
      { body: view() },
      { body: work('failed', {}, 'no such table') },
    ]
    replies['POST /v1/migrations/user-profiles/advance'] = { body: work('pending', {}) }
    const { code, err } = await run(['advance', 'user-profiles', '--wait'])
    expect(code).toBe(1)
    expect(err).toContain('expand failed: no such table')
    expect(err).toContain('what to do: switchback status user-profiles')
  })
})

test('validate shows problems as file, line and column, and registers nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'switchback-cli-'))
  await writeFile(join(folder, 'migration.yaml'), 'id: a\ntitel: x\n')
  await writeFile(join(folder, 'expand.sql'), 'select 1')
  for (const args of [
    ['validate', folder],
    ['migrations', 'register', folder],
  ]) {
    const { code, err } = await run(args)
    expect(code).toBe(1)
    expect(err).toContain(`${folder}/migration.yaml:2:8: titel: unknown field "titel"`)
  }
  const json = await run(['validate', folder, '--json'])
  expect(JSON.parse(json.out)).toMatchObject({ ok: false, problems: [{ line: expect.any(Number) }, {}] })
  await writeFile(join(folder, 'migration.yaml'), 'id: a\ntitle: x\n')
  expect(await run(['validate', folder])).toMatchObject({ code: 0, out: 'valid: a\n' })
  replies['POST /v1/migrations'] = { body: view() }
  expect(await run(['migrations', 'register', folder])).toMatchObject({ code: 0 })
  expect(asked).toMatchObject([{ body: { yaml: 'id: a\ntitle: x\n', sql: { expand: 'select 1' } } }])
  await rm(folder, { recursive: true })
})

test('help, version, serve and worker', async () => {
  expect(await run(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('Exit codes: 0 done') })
  expect(await run(['--version'])).toMatchObject({ code: 0, out: '0.1.0\n' })
  expect(await run(['serve'])).toMatchObject({ code: 0 })
  expect(await run(['worker'])).toMatchObject({ code: 0 })
})
