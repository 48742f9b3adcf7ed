import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadMigrationFolder, loadMigrationFolders } from './load-migration-folder.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'switchback-folders-'))
})
afterEach(() => rm(root, { recursive: true }))

const YAML = 'id: one\ntitle: One\n'

async function folder(name: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const path = join(root, name)
  await mkdir(path)
  for (const [file, text] of Object.entries(files)) await writeFile(join(path, file), text)
  return path
}

test('the registered example loads', async () => {
  const registry = fileURLToPath(new URL('../../../migrations-registry/migrations', import.meta.url))
  const loaded = await loadMigrationFolders(registry)
  expect(loaded).toMatchObject([{ ok: true, migration: { definition: { id: 'user-profiles' } } }])
})

test('takes the SQL that is there, and the text of the definition', async () => {
  const path = await folder('a', {
    'migration.yaml': YAML,
    'expand.sql': 'select 1',
    'rollback.sql': 'select 2',
  })
  expect(await loadMigrationFolder(path)).toMatchObject({
    ok: true,
    migration: { source: YAML, sql: { expand: 'select 1', rollback: 'select 2' } },
  })
})

test('all problems are told at once, each with its place', async () => {
  const path = await folder('a', {
    'migration.yaml': 'id: Wrong Id\ntitel: One\n',
    'contrakt.sql': 'drop table a',
    'rollback.sql': new Uint8Array([0xff, 0xfe]),
    'contract.sql': ' \n',
  })
  const loaded = await loadMigrationFolder(path)
  const problems = loaded.ok ? [] : loaded.problems
  const places = problems.map(
    ({ file, line, column, message }) => `${file.slice(path.length + 1)}:${line}:${column} ${message}`,
  )
  expect(places).toEqual(
    expect.arrayContaining([
      'contrakt.sql:1:1 nothing runs this file; a migration has expand.sql, rollback.sql, contract.sql',
      'rollback.sql:1:1 not UTF-8 text',
      'contract.sql:1:1 the file is empty; where nothing is to be done, say so in a comment',
      'expand.sql:1:1 the file is missing; it brings the new schema',
      expect.stringMatching(/^migration\.yaml:1:5 expected lower-case words/),
      'migration.yaml:2:8 unknown field "titel"',
    ]),
  )
})

test.each([
  ['nowhere', /not a readable folder: ENOENT/],
  ['file', /not a readable folder: ENOTDIR/],
])('%s is no folder', async (name, message) => {
  await writeFile(join(root, 'file'), '')
  const [loaded] = await loadMigrationFolders(join(root, name))
  expect(loaded).toMatchObject({ ok: false, problems: [{ message: expect.stringMatching(message) }] })
})

test('folders come in order of name, others are passed over, and an id is taken once', async () => {
  await folder('b', { 'migration.yaml': YAML, 'expand.sql': 'select 1' })
  await folder('a', { 'migration.yaml': YAML, 'expand.sql': 'select 1' })
  await folder('notes', { 'readme.txt': '' })
  const loaded = await loadMigrationFolders(root)
  expect(loaded.map(({ ok }) => ok)).toEqual([true, false])
  expect(loaded[1]).toMatchObject({
    problems: [{ message: `${join(root, 'a')} has a migration with the same id` }],
  })
})
