import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pages, REPOSITORY } from '@switchback/test/support'
import { beforeAll, expect, test } from 'vitest'

/** What the pieces of a page take for granted: names that its text has explained, or that are the reader's own. */
const GIVEN: Readonly<Record<string, string>> = {
  'README.md': `
import { connect, pgTransaction } from '@switchback/sdk'
import pg from 'pg'
const pool = new pg.Pool()
type Tx = { query: pg.Pool['query'] }
const [url, token, userId, bio] = ['http://127.0.0.1:7410', 'sb_…', 'user-1', 'Rides a lot.']
declare function readFromUsers(userId: string, tx: Tx): Promise<string>
declare function readFromProfiles(userId: string, tx: Tx): Promise<string>
declare function saveToUsers(userId: string, tx: Tx, profile: { bio: string }): Promise<unknown>
declare function saveToProfiles(userId: string, tx: Tx, profile: { bio: string }): Promise<unknown>
`,
  'docs/backfill.md': `
import type { StepKey, StepKeys, StepRow, StepValues } from '@switchback/migrations-registry'
declare const store: {
  put(rows: readonly StepRow[]): Promise<void>
  get(keys: readonly StepKey[]): Promise<readonly (StepValues | undefined)[]>
  remove(keys: readonly StepKey[]): Promise<void>
  list(after: string | undefined): Promise<StepKeys>
}
`,
}

const FOLDER = join(REPOSITORY, '.cache/documented')
// Where the compiler lies is its package's business; it has no other entry for programs.
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')

const pieces = (await pages()).flatMap(({ file, snippets }) =>
  snippets
    .filter(({ language }) => language === 'ts' || language === 'typescript')
    .map(({ text }, i) => ({
      name: `${file}, piece ${i + 1}`,
      text: `${GIVEN[file] ?? ''}\n${text}\nexport {}\n`,
      as: `${file.replaceAll(/[^\w]+/g, '-')}-${i + 1}.ts`,
    })),
)
const WRONG = 'wrong.ts'
let said = ''

const compile = (): Promise<string> =>
  new Promise((resolve) => {
    const args = [TSC, '-p', FOLDER, '--pretty', 'false']
    // The exit code says that there is something; what it is, and where, is looked at below.
    execFile(process.execPath, args, { maxBuffer: 10_000_000 }, (_, out, err) => resolve(out + err))
  })

beforeAll(async () => {
  await rm(FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER, { recursive: true })
  const source = (path: string) => [join(REPOSITORY, path)]
  const config = {
    extends: join(REPOSITORY, 'tsconfig.base.json'),
    compilerOptions: {
      composite: false,
      incremental: false,
      declaration: false,
      declarationMap: false,
      noEmit: true,
      rewriteRelativeImportExtensions: false,
      allowImportingTsExtensions: true,
      noUnusedLocals: false,
      types: ['node'],
      // The sources and not what was built of them: never those of yesterday.
      paths: {
        '@switchback/migrations-registry': source('migrations-registry/src/index.ts'),
        '@switchback/sdk': source('sdk/src/index.ts'),
        '@switchback/server': source('server/src/index.ts'),
      },
    },
    include: ['*.ts'],
  }
  await writeFile(join(FOLDER, 'tsconfig.json'), JSON.stringify(config))
  await writeFile(
    join(FOLDER, WRONG),
    `import { connect } from '@switchback/sdk'\nawait connect({ nowhere: 1 })\n`,
  )
  for (const { as, text } of pieces) await writeFile(join(FOLDER, as), text)
  said = await compile()
})

const about = (file: string): readonly string[] =>
  said.split('\n').filter((line) => line.includes(`${file}(`))

test('there is TypeScript in the documentation, and a piece that is wrong is told', () => {
  expect(pieces.length).toBeGreaterThan(0)
  expect(about(WRONG)).toHaveLength(1)
})

test.each(pieces)('$name compiles against the packages', ({ as }) => {
  expect(about(as)).toEqual([])
})
