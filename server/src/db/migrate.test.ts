import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { testDatabase } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from './db.ts'
import { createDb } from './db.ts'
import { migrateStore } from './migrate.ts'
import { isUnreachable } from './store-error.ts'
import { STORE_SCHEMA } from './store-schema.ts'

const SHIPPED = fileURLToPath(new URL('../../migrations', import.meta.url))

let folder: string
let url: string
let dbs: Db[]
let drop: () => Promise<void>
const open = (): Db => {
  const db = createDb({ url, name: 'test', schema: STORE_SCHEMA })
  dbs.push(db)
  return db
}
const file = (name: string, text: string) => writeFile(join(folder, name), text)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchback-migrate-'))
  const database = await testDatabase()
  url = database.url
  drop = database.drop
  dbs = []
})
afterEach(async () => {
  for (const db of dbs) await db.end()
  await drop()
  await rm(folder, { recursive: true })
})

test('the shipped files make an empty database a store, and a second start finds nothing to do', async () => {
  const db = open()
  const first = await migrateStore(db, SHIPPED)
  expect(first.applied[0]).toBe('001-store.sql')
  expect((await db.query('select revision from head')).rows).toEqual([{ revision: 0 }])
  expect(await migrateStore(db, SHIPPED)).toEqual({ version: first.version, applied: [] })
})

test('many servers that start at once apply each file once', async () => {
  const results = await Promise.all([open(), open(), open(), open()].map((db) => migrateStore(db, SHIPPED)))
  const applied = results.flatMap((result) => result.applied)
  expect(new Set(applied).size).toBe(applied.length)
  expect(results.filter((result) => result.applied.length > 0)).toHaveLength(1)
})

test('a file that was changed after it was applied is refused by name', async () => {
  await file('001-a.sql', '-- breaking: no\ncreate table a (n int);')
  await migrateStore(open(), folder)
  await file('001-a.sql', '-- breaking: no\ncreate table a (n bigint);')
  await expect(migrateStore(open(), folder)).rejects.toMatchObject({
    code: 'migration-changed',
    message: expect.stringContaining('001-a.sql'),
  })
})

test('line ends that a checkout has rewritten are no change', async () => {
  await file('001-a.sql', '-- breaking: no\ncreate table a (n int);\n')
  await migrateStore(open(), folder)
  await file('001-a.sql', '-- breaking: no\r\ncreate table a (n int);\r\n')
  expect((await migrateStore(open(), folder)).applied).toEqual([])
})

test.each([
  ['yes', 'store-newer'],
  ['no', undefined],
])('a store with a newer file that is breaking: %s', async (breaking, code) => {
  await cp(SHIPPED, folder, { recursive: true })
  await file('900-newer.sql', `-- breaking: ${breaking}\ncreate table newer (n int);`)
  await migrateStore(open(), folder)
  const older = migrateStore(open(), SHIPPED)
  if (code === undefined) await expect(older).resolves.toMatchObject({ version: 900, applied: [] })
  else await expect(older).rejects.toMatchObject({ code, message: expect.stringContaining('900-newer.sql') })
})

test('a file that fails leaves nothing of any file behind', async () => {
  await file('001-a.sql', '-- breaking: no\ncreate table a (n int);')
  await file('002-b.sql', '-- breaking: no\ncreate table b (n nonsense);')
  const db = open()
  await expect(migrateStore(db, folder)).rejects.toMatchObject({
    code: 'migration-failed',
    message: expect.stringMatching(/002-b\.sql.*nonsense/),
  })
  expect((await db.query(`select to_regclass('a') as a`)).rows).toEqual([{ a: null }])
})

test.each([
  ['a number twice', { '001-a.sql': '-- breaking: no\n', '001-b.sql': '-- breaking: no\n' }],
  ['no number', { 'a.sql': '-- breaking: no\n' }],
  ['no header', { '001-a.sql': 'select 1' }],
])('files with %s are refused', async (_, files) => {
  for (const [name, text] of Object.entries(files)) await file(name, text)
  await expect(migrateStore(open(), folder)).rejects.toMatchObject({ code: 'migration-invalid' })
})

test('a file that was slipped in below the present version is refused', async () => {
  await file('002-b.sql', '-- breaking: no\ncreate table b (n int);')
  await migrateStore(open(), folder)
  await file('001-a.sql', '-- breaking: no\ncreate table a (n int);')
  await expect(migrateStore(open(), folder)).rejects.toMatchObject({ code: 'migration-out-of-order' })
})

test('a store that cannot be reached is told from one that answers with an error', async () => {
  const nowhere = createDb({ url: 'postgres://postgres@127.0.0.1:1/nothing', name: 'test' })
  dbs.push(nowhere)
  const refused = await nowhere.query('select 1').catch((error: unknown) => error)
  expect(isUnreachable(refused)).toBe(true)
  const wrong = await open()
    .query('select nonsense')
    .catch((error: unknown) => error)
  expect(isUnreachable(wrong)).toBe(false)
})
