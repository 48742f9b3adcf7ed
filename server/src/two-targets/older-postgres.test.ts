import { debianPostgres } from '@switchback/test/support'
import { afterAll, describe, expect, test } from 'vitest'
import { oldOn, rowsOf, twoDatabases } from './two-databases-for-tests.ts'

/* A database is moved to a newer server more often than not: what is equal has to look equal on both. */
const debian = await debianPostgres()
afterAll(() => debian?.stop())
if (debian !== undefined) oldOn(debian.url)

test.skipIf(debian === undefined)('old is on PostgreSQL 15 here, and new on a later one', async () => {
  const { old, fresh, drop } = await twoDatabases()
  const version = `select current_setting('server_version_num')::int / 10000 as version`
  expect(await rowsOf(old, version)).toEqual([{ version: 15 }])
  expect(await rowsOf(fresh, version)).toEqual([{ version: 18 }])
  await drop()
})

describe.skipIf(debian === undefined).each([
  ['history, verification and the way back', () => import('./two-targets.test.ts')],
  ['keys without an index', () => import('./no-key-index.test.ts')],
] as const)('from PostgreSQL 15 to a later one: %s', async (_, tests) => {
  await tests()
})
