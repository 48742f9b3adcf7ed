import { debianPostgres, testDatabase, testOn } from '@switchback/test/support'
import { afterAll, describe, expect, test } from 'vitest'

/*
 * How ranges of blocks are read, when a row that has moved is passed over, and what the planner sorts differ
 * between releases: the same tests on the oldest one that can be had here.
 */
const debian = await debianPostgres()
afterAll(() => debian?.stop())
if (debian !== undefined) testOn(debian.url)

test.skipIf(debian === undefined)('these databases are on PostgreSQL 15', async () => {
  const { pool, drop } = await testDatabase()
  const { rows } = await pool.query(`select current_setting('server_version_num')::int / 10000 as version`)
  expect(rows).toEqual([{ version: 15 }])
  await drop()
})

describe.skipIf(debian === undefined).each([
  ['tables by blocks', () => import('./blocks.test.ts')],
  ['ranges of values', () => import('./value-ranges.test.ts')],
  ['a copy that is shared', () => import('../copying/shared-copy.test.ts')],
  ['hazards of a copy', () => import('../copying/hazards.test.ts')],
  ['the sweep', () => import('../copying/sweep.test.ts')],
  ['verification and the way back', () => import('../comparing/verify.test.ts')],
  ['keys of every kind', () => import('../mapping/keys.test.ts')],
] as const)('on PostgreSQL 15: %s', async (_, tests) => {
  await tests()
})
