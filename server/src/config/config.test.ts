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

test('docs/configuration.md is current', async () => {
  await expect(renderConfigTable()).toMatchFileSnapshot('../../../docs/configuration.md')
})
