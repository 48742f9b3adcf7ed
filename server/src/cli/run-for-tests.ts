import { runCli } from './cli.ts'
import type { Terminal } from './terminal.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command as `main` does, on a terminal that can be looked at. */
export async function runForTests(args: readonly string[], given: Partial<Terminal>): Promise<Ran> {
  let out = ''
  let err = ''
  const terminal: Terminal = {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    isTty: false,
    env: {},
    now: Date.now,
    fetch,
    ...given,
  }
  const code = await runCli(args, { version: '0', serve: async () => 0, worker: async () => 0, terminal })
  return { code, out, err }
}
