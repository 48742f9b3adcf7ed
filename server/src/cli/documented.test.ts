import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { commandsIn, pages, REPOSITORY, wordsOf } from '@switchback/test/support'
import { describe, expect, test } from 'vitest'
import { runCli } from './cli.ts'

/** Runs a command where no server is; what it says. */
async function run(args: readonly string[]) {
  let said = ''
  const write = (text: string) => {
    said += text
  }
  const code = await runCli(args, {
    version: '0.1.0',
    serve: async () => 0,
    worker: async () => 0,
    terminal: {
      out: write,
      err: write,
      isTty: false,
      env: { SWITCHBACK_URL: 'http://127.0.0.1:1', SWITCHBACK_TOKEN: 'none' },
      now: () => 0,
      fetch: () => Promise.reject(new Error('no server here')),
    },
  })
  return { code, said }
}

const ours = (words: readonly string[]): readonly string[] | undefined => {
  const rest = words[0] === 'npx' ? words.slice(1) : words
  return rest[0] === 'switchback' && rest.length > 1 ? rest.slice(1) : undefined
}
const all = await pages()
const shown = all.flatMap(({ file, snippets }) =>
  snippets
    .filter(({ language }) => language === 'console')
    .flatMap(({ text }) => commandsIn(text).map((words) => ({ file, args: ours(words) }))),
)
const mentioned = all.flatMap(({ file, codes }) =>
  codes.map((code) => ({ file, args: ours(wordsOf(code.replaceAll('\\|', '|'))) })),
)
/** Each command once, by the first page that has it. */
function named(found: readonly { readonly file: string; readonly args: readonly string[] | undefined }[]) {
  const commands = new Map<string, { file: string; args: readonly string[]; command: string }>()
  for (const { file, args } of found) {
    const command = args?.join(' ') ?? ''
    if (args !== undefined && !commands.has(command)) commands.set(command, { file, args, command })
  }
  return [...commands.values()]
}

test('there are commands in the documentation to be looked at', () => {
  expect(named(shown).length).toBeGreaterThan(10)
  expect(named(mentioned).length).toBeGreaterThan(15)
})

describe('a command that the documentation shows', () => {
  test.each(named(shown))('$file: $command is understood', async ({ args }) => {
    // It comes as far as asking the server, which is not there.
    expect(await run([...args, '--json'])).toEqual({
      code: 2,
      said: expect.stringContaining('"code": "unreachable"'),
    })
  })
})

describe('a command that the documentation speaks of', () => {
  const inText = named(mentioned).filter(({ args }) => !args[0]?.startsWith('-'))
  test.each(inText)('$file: $command is there, with its options', async ({ args }) => {
    const { code, said } = await run([...args, '--help'])
    expect(code).toBe(0)
    // The help of the command itself, not that of everything.
    const path = args.slice(0, said.startsWith(`Usage: switchback ${args.slice(0, 2).join(' ')}`) ? 2 : 1)
    expect(said).toContain(`Usage: switchback ${path.join(' ')}`)
    for (const option of args.filter((word) => word.startsWith('--'))) expect(said).toContain(option)
  })
})

/** Commands that messages tell people to run, by the files that do. */
async function told(): Promise<ReadonlyMap<string, string>> {
  const commands = new Map<string, string>()
  const folders = ['server/src', 'migrations-registry/src', 'sdk/src', 'console/src']
  const files = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(REPOSITORY, folder), { recursive: true })).map((name) => join(folder, name)),
    ),
  )
  for (const file of files.flat().filter((name) => /\.tsx?$/.test(name) && !/test/.test(name))) {
    const text = await readFile(join(REPOSITORY, file), 'utf8')
    // In quotes of some kind, or at the end of a sentence that a colon leads to.
    for (const [, command = ''] of text.matchAll(/(?:[`'"“]|: )switchback ([a-z][a-z-]+)(?![\w.:])/g)) {
      if (!commands.has(command)) commands.set(command, file)
    }
  }
  return commands
}

/** What `switchback` begins a name of, and no command: names of connections and locks. */
const NAMES = [
  'dry',
  'executor',
  'fence',
  'install',
  'migrate',
  'raise',
  'sandbox',
  'schema',
  'secrets',
  'server',
]

test('every command that a message tells people to run is there', async () => {
  const commands = [...(await told())].filter(([command]) => !NAMES.includes(command))
  expect(commands.length).toBeGreaterThan(10)
  const missing: string[] = []
  for (const [command, file] of commands) {
    const { said } = await run([command, '--help'])
    if (!said.startsWith(`Usage: switchback ${command}`)) missing.push(`${file}: switchback ${command}`)
  }
  expect(missing).toEqual([])
})
