import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { runCli } from './cli/cli.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

// Whoever read our output has seen enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

process.exitCode = await runCli(process.argv.slice(2), {
  terminal: {
    out: (line) => process.stdout.write(line),
    err: (line) => process.stderr.write(line),
    isTty: process.stdout.isTTY === true,
    env: process.env,
    now: Date.now,
    fetch,
    input: () => text(process.stdin),
  },
  version,
  // Loaded when asked for: a command that only talks to a server should answer at once.
  serve: async () => (await import('./compose/run-service.ts')).serve(say),
  worker: async () => (await import('./compose/run-service.ts')).work(say),
})
