import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkSchema } from '@switchback/migrations-registry'
import { freePort, type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createInspection, type Inspection } from '../target/inspection.ts'
import { createTarget, type Target } from '../target/target.ts'
import { runCheck } from './run-check.ts'

let database: TestDatabase
let target: Target
let inspection: Inspection
let server: Server
let origin: string
const asked: string[] = []

beforeAll(async () => {
  database = await testDatabase()
  await database.pool.query('create table t (id int); insert into t values (1)')
  target = createTarget({ url: database.url, name: 'test', onIdleError: () => undefined })
  inspection = createInspection(target)
  server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/never') return
    if (request.url === '/elsewhere') response.writeHead(302, { location: `${origin}/ok` })
    else response.writeHead(request.url === '/ok' ? 200 : 503)
    response.end(`status: ${request.url === '/ok' ? 'fine' : 'bad'}`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await target.end()
  await database.drop()
})

const run = (check: object, commands = true) =>
  runCheck(checkSchema.parse(check), {
    inspection,
    commands,
    environment: { SWITCHBACK_MIGRATION: 'm' },
    signal: new AbortController().signal,
  })

describe('a SQL check', () => {
  it.each([
    ['that gives true', 'select count(*) = 1 from t', 'verified', 'true'],
    ['that gives false', 'select count(*) = 0 from t', 'failed', 'does not give true'],
    ['that gives no row', 'select true from t where false', 'failed', 'does not give true'],
    ['that gives more than one value', 'select true, true', 'failed', 'does not give true'],
    ['that would write', 'delete from t returning true', 'failed', 'read-only transaction'],
    ['that would end the transaction and write', 'commit; delete from t', 'failed', 'multiple commands'],
    ['that is wrong', 'select nothing', 'failed', 'does not exist'],
  ] as const)('%s', async (_name, sql, outcome, message) => {
    expect(await run({ sql })).toMatchObject({ outcome, message: expect.stringContaining(message) })
    expect((await database.pool.query('select from t')).rowCount).toBe(1)
  })

  it('that takes too long is ended in the database', async () => {
    expect(await run({ sql: 'select pg_sleep(60) is null', timeout: '100ms' })).toMatchObject({
      outcome: 'failed',
      message: expect.stringContaining('statement timeout'),
    })
  })
})

describe('an HTTP check', () => {
  it.each([
    [{ http: '/ok' }, 'verified', '200'],
    [{ http: '/ok', contains: 'fine' }, 'verified', '200'],
    [{ http: '/ok', contains: 'splendid' }, 'failed', 'without the text'],
    [{ http: '/broken' }, 'failed', 'Answered 503; expected 200'],
    [{ http: '/broken', expect: 503 }, 'verified', '503'],
    [{ http: '/never', timeout: '100ms' }, 'failed', 'No answer in time'],
  ] as const)('%j', async (check, outcome, message) => {
    expect(await run({ ...check, http: origin + check.http })).toMatchObject({
      outcome,
      message: expect.stringContaining(message),
    })
  })

  it('follows nobody elsewhere', async () => {
    asked.length = 0
    expect(await run({ http: `${origin}/elsewhere` })).toMatchObject({
      outcome: 'failed',
      message: 'Answered 302; expected 200.',
    })
    expect(asked).toEqual(['/elsewhere'])
  })

  it('of a server that is away has failed', async () => {
    expect(await run({ http: `http://127.0.0.1:${await freePort()}/` })).toMatchObject({
      outcome: 'failed',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })
})

describe('a command', () => {
  it.each([
    [['true'], 'verified', 'ended with 0'],
    [['sh', '-c', 'echo no profile >&2; exit 3'], 'failed', 'ended with 3: no profile'],
    [['sh', '-c', 'test "$SWITCHBACK_MIGRATION" = m && test -z "$HOME"'], 'verified', '0'],
    [['there-is-no-such-program'], 'failed', 'ENOENT'],
  ])('%j', async (command, outcome, message) => {
    expect(await run({ command })).toMatchObject({ outcome, message: expect.stringContaining(message) })
  })

  it('that hangs is ended', async () => {
    expect(await run({ command: ['sleep', '60'], timeout: '100ms' })).toMatchObject({
      outcome: 'failed',
      message: expect.stringContaining('did not end within 100 ms'),
    })
  })

  it('is not run where the server does not allow it', async () => {
    expect(await run({ command: ['true'] }, false)).toMatchObject({
      outcome: 'inconclusive',
      message: expect.stringContaining('SWITCHBACK_CHECK_COMMANDS'),
    })
  })
})
