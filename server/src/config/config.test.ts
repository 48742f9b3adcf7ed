import { expect, test } from 'vitest'
import { parseConfig } from './config.ts'
import { renderConfigTable } from './config-table.ts'

test('an empty environment is enough', () => {
  const parsed = parseConfig({})
  expect(parsed).toEqual({
    ok: true,
    config: {
      host: '127.0.0.1',
      port: 7410,
      dataDir: './.switchback',
      heartbeatMs: 5000,
      leaseMs: 15_000,
      pollMs: 1000,
      retention: { alertsDays: 90, noticesDays: 90 },
      checkCommands: false,
      logLevel: 'info',
      notifyHttpHosts: [],
      alertmanagerLookMs: 15_000,
      targets: {},
      timing: {},
    },
  })
  expect(parsed.ok && Object.isFrozen(parsed.config)).toBe(true)
})

test('targets are named by their variables', () => {
  const parsed = parseConfig({ TARGET_MAIN_URL: 'postgres://a/b', TARGET_USER_DATA_URL: 'postgresql://c/d' })
  expect(parsed.ok && parsed.config.targets).toEqual({
    main: 'postgres://a/b',
    'user-data': 'postgresql://c/d',
  })
})

test('windows, freezes and limits of a target are parsed together with the rest', () => {
  const parsed = parseConfig({
    TARGET_USER_DATA_WINDOWS: 'Sun 02:00-05:00 Asia/Dhaka; daily 03:00-04:00 UTC',
    TARGET_USER_DATA_FREEZES: '2026-12-20..2027-01-03 Asia/Dhaka',
    TARGET_USER_DATA_LOAD: 'connections=80, transactionAge=5m, tps=500',
  })
  expect(parsed.ok && parsed.config.timing).toEqual({
    'user-data': {
      windows: ['Sun 02:00-05:00 Asia/Dhaka', 'daily 03:00-04:00 UTC'],
      freezes: ['2026-12-20..2027-01-03 Asia/Dhaka'],
      load: { connections: 80, transactionAge: 300_000, tps: 500 },
    },
  })
  expect(
    parseConfig({ TARGET_MAIN_WINDOWS: 'at night', TARGET_MAIN_LOAD: 'cpu=3', TARGET_MAIN_FREEZES: 'now' }),
  ).toMatchObject({
    ok: false,
    problems: [
      { name: 'TARGET_MAIN_WINDOWS', message: expect.stringContaining('expected days') },
      { name: 'TARGET_MAIN_LOAD' },
      { name: 'TARGET_MAIN_FREEZES', message: expect.stringContaining('expected two days') },
    ],
  })
})

test('all problems are reported together, and no value with them', () => {
  const secret = 'hunter2'
  const parsed = parseConfig({
    PORT: '70000',
    LOG_LEVEL: 'loud',
    DATABASE_URL: `mysql://root:${secret}@db/x`,
    TARGET_MAIN_URL: secret,
    SWITCHBACK_ADMIN_TOKEN: secret,
    HEARTBEAT_MS: 'often',
  })
  const problems = parsed.ok ? [] : parsed.problems
  expect(problems.map((problem) => problem.name).sort()).toEqual([
    'DATABASE_URL',
    'HEARTBEAT_MS',
    'LOG_LEVEL',
    'PORT',
    'SWITCHBACK_ADMIN_TOKEN',
    'TARGET_MAIN_URL',
  ])
  expect(JSON.stringify(problems)).not.toContain(secret)
})

test('a lease that one late heartbeat would end is refused', () => {
  expect(parseConfig({ HEARTBEAT_MS: '1000', LEASE_MS: '1500' })).toMatchObject({
    ok: false,
    problems: [{ name: 'LEASE_MS' }],
  })
})

test('a variable that is set to nothing counts as not set', () => {
  expect(parseConfig({ REDIS_URL: '', PORT: '' })).toMatchObject({ ok: true, config: { port: 7410 } })
})

const SIGN_ON = {
  OIDC_ISSUER: 'https://idp.example/realms/main',
  OIDC_CLIENT_ID: 'switchback',
  OIDC_ROLES: 'admin=platform; operator=cn=riders,dc=example; operator=drivers',
  PUBLIC_URL: 'https://switchback.example/',
}

test('single sign-on takes an issuer, a client, the address of this server, and roles', () => {
  const parsed = parseConfig({ ...SIGN_ON, OIDC_EMAIL_DOMAINS: 'Example.com,example.org' })
  expect(parsed.ok && parsed.config.signOn).toEqual({
    issuer: 'https://idp.example/realms/main',
    clientId: 'switchback',
    name: 'single sign-on',
    scopes: 'openid profile email',
    origin: 'https://switchback.example',
    groupsClaim: 'groups',
    roles: [
      { role: 'admin', group: 'platform' },
      { role: 'operator', group: 'cn=riders,dc=example' },
      { role: 'operator', group: 'drivers' },
    ],
    emailDomains: ['example.com', 'example.org'],
    sessionMs: 43_200_000,
    idleMs: 14_400_000,
    signsOutAtProvider: true,
  })
})

test.each<[string, Record<string, string>, readonly string[]]>([
  ['no client and no address', { OIDC_CLIENT_ID: '', PUBLIC_URL: '' }, ['OIDC_CLIENT_ID', 'PUBLIC_URL']],
  ['no issuer', { OIDC_ISSUER: '' }, ['OIDC_CLIENT_ID', 'OIDC_ROLES']],
  ['nobody who could sign in', { OIDC_ROLES: '' }, ['OIDC_ROLES']],
  ['a role that is for programs', { OIDC_ROLES: 'sdk=all' }, ['OIDC_ROLES']],
  ['a role without a group', { OIDC_ROLES: 'admin=' }, ['OIDC_ROLES']],
  ['what can be read on the way', { PUBLIC_URL: 'http://switchback.example' }, ['PUBLIC_URL']],
  ['an issuer that can be read on the way', { OIDC_ISSUER: 'http://idp.example' }, ['OIDC_ISSUER']],
  ['scopes without openid', { OIDC_SCOPES: 'email' }, ['OIDC_SCOPES']],
  ['idle above the whole', { OIDC_SESSION_MS: '60000', OIDC_IDLE_MS: '60001' }, ['OIDC_IDLE_MS']],
])('settings of single sign-on are judged together: %s', (_, change, names) => {
  const parsed = parseConfig({ ...SIGN_ON, ...change })
  expect(parsed.ok ? [] : parsed.problems.map(({ name }) => name).sort()).toEqual(names)
})

test('on this machine single sign-on may go unencrypted', () => {
  const here = { OIDC_ISSUER: 'http://localhost:8080', PUBLIC_URL: 'http://127.0.0.1:7410' }
  expect(parseConfig({ ...SIGN_ON, ...here }).ok).toBe(true)
})

test('docs/configuration.md is current', async () => {
  await expect(renderConfigTable()).toMatchFileSnapshot('../../../docs/configuration.md')
})
