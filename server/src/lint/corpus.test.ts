import { readdirSync, readFileSync } from 'node:fs'
import { type TestDatabase, testDatabase } from '@switchback/test/support'
import { afterAll, describe, expect, test } from 'vitest'
import type { Finding } from './finding.ts'
import { lintSql } from './lint.ts'
import { loadParser, parseScript, type Statement } from './script.ts'

const FOLDER = new URL('../../../test/lint-corpus/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, FOLDER), 'utf8')
const filesOf = (kind: 'bad' | 'good'): readonly string[] =>
  readdirSync(new URL(kind, FOLDER)).map((name) => `${kind}/${name}`)

const versionOf = (text: string): number => Number(/^-- pg: (\d+)$/m.exec(text)?.[1] ?? 14)
const expectedOf = (text: string): readonly string[] =>
  [...text.matchAll(/^-- expect: (\S+ at \d+:\d+)$/gm)].map((match) => match[1] ?? '')
const told = ({ rule, line, column }: Finding): string => `${rule} at ${line}:${column}`

async function findingsOf(file: string): Promise<readonly Finding[]> {
  const text = read(file)
  const { findings, unreadable } = await lintSql(file, text, versionOf(text))
  expect(unreadable).toEqual([])
  return findings
}

async function statementsOf(sql: string): Promise<readonly Statement[]> {
  await loadParser()
  const parsed = parseScript('', sql)
  if (!parsed.ok) throw new Error(`${parsed.problem.message}: ${sql}`)
  return parsed.script.statements
}

let shared: TestDatabase | undefined
afterAll(() => shared?.drop())

/** The schema as new: made again in one database, which is quicker than a database each. */
async function freshDatabase(): Promise<TestDatabase> {
  shared ??= await testDatabase()
  await shared.pool.query(
    `drop schema if exists public, reporting cascade; create schema public; ${read('schema.sql')}`,
  )
  return shared
}

async function storage(database: TestDatabase): Promise<ReadonlyMap<number, string>> {
  const { rows } = await database.pool.query<{ oid: number; file: string }>(
    "select oid, relfilenode::text as file from pg_class where relkind = 'r' and oid >= 16384",
  )
  return new Map(rows.map(({ oid, file }) => [oid, file]))
}

/** Runs statements as the executor does, each on its own, and sees to it that no table was written anew. */
async function runsWithoutRewrite(before: readonly string[], statements: readonly string[]): Promise<void> {
  const database = await freshDatabase()
  for (const text of before) await database.pool.query(text)
  const then = await storage(database)
  for (const text of statements) await database.pool.query(text)
  const now = await storage(database)
  for (const [oid, file] of then) if (now.has(oid)) expect(now.get(oid)).toBe(file)
}

describe('the corpus', () => {
  test('is large enough to mean something', () => {
    expect(filesOf('bad').length + filesOf('good').length).toBeGreaterThanOrEqual(120)
  })

  test.each(filesOf('bad'))('%s is found as it says', async (file) => {
    const expected = expectedOf(read(file))
    expect(expected).not.toEqual([])
    expect((await findingsOf(file)).map(told)).toEqual(expected)
  })

  test.each(filesOf('good'))('%s is clean', async (file) => {
    expect((await findingsOf(file)).map(told)).toEqual([])
  })

  test.each(filesOf('good').filter((file) => versionOf(read(file)) <= 18))(
    '%s runs and rewrites nothing',
    async (file) => {
      await runsWithoutRewrite(
        [],
        (await statementsOf(read(file))).map(({ text }) => text),
      )
    },
  )
})

/** Each suggestion once, with what stands before the statement that it replaces. */
async function suggestions(): Promise<
  readonly { name: string; before: readonly string[]; fix: string; version: number }[]
> {
  const found = new Map<string, { name: string; before: readonly string[]; fix: string; version: number }>()
  for (const file of filesOf('bad')) {
    const text = read(file)
    const statements = await statementsOf(text)
    for (const { rule, fix, line, column } of await findingsOf(file)) {
      if (fix === null) continue
      const at = statements.findLast(({ start, source }) => {
        const place = source.position(start)
        return place.line < line || (place.line === line && place.column <= column)
      })
      // Two statements that become one.
      const index = (at?.index ?? 0) - (rule === 'combine-alters' ? 1 : 0)
      const before = statements.slice(0, index).map((statement) => statement.text)
      found.set(`${file} ${fix}`, { name: `${file} ${rule}`, before, fix, version: versionOf(text) })
    }
  }
  return [...found.values()]
}

describe('every suggestion', async () => {
  test.each(await suggestions())(
    'for $name is clean, runs and rewrites nothing',
    async ({ before, fix, version }) => {
      // By itself, or below what it stands below: that may hold the index or the proof that it needs.
      const above = before.map((text) => `${text};\n`).join('')
      const alone = await lintSql('fix.sql', fix, version)
      const below = await lintSql('fix.sql', above + fix, version)
      expect(alone.unreadable).toEqual([])
      const first = above.split('\n').length
      const there = below.findings.filter(({ line }) => line >= first).map(told)
      expect(alone.findings.length === 0 ? [] : there).toEqual([])
      await runsWithoutRewrite(
        before,
        (await statementsOf(fix)).map(({ text }) => text),
      )
    },
  )
})
