import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { type Client, createClient } from './client.ts'
import { type Paint, paintFor, type Terminal } from './terminal.ts'

const DEFAULT_URL = 'http://127.0.0.1:7410'

/** What every remote command has at hand. */
export interface Remote {
  readonly client: Client
  readonly terminal: Terminal
  readonly paint: Paint
  readonly json: boolean
  /** Prints the answer: the whole of it for a machine, `text` for a person. */
  show(answer: unknown, text: () => string): void
}

interface RemoteOptions {
  readonly url?: string
  readonly token?: string
  readonly json?: boolean
}

/** Adds the options that all remote commands share, and runs `work` with what they stand for. */
export function remote<Options extends object>(
  command: Command,
  terminal: Terminal,
  work: (remote: Remote, args: readonly string[], options: Options) => Promise<void>,
): Command {
  return command
    .option('--url <url>', `server; default $SWITCHBACK_URL or ${DEFAULT_URL}`)
    .option('--token <token>', 'default $SWITCHBACK_TOKEN, or the admin token of a server in this folder')
    .option('--json', 'print what the server answers')
    .action(async (...given: unknown[]) => {
      const self = given.at(-1) as Command
      const options = self.opts<Options & RemoteOptions>()
      const { env } = terminal
      const client = createClient({
        url: options.url ?? env.SWITCHBACK_URL ?? DEFAULT_URL,
        token: options.token ?? env.SWITCHBACK_TOKEN ?? (await localAdminToken(terminal)),
        fetch: terminal.fetch,
      })
      const json = options.json === true
      const show: Remote['show'] = (answer, text) => {
        terminal.out(json ? `${JSON.stringify(answer, undefined, 2)}\n` : `${text()}\n`)
      }
      await work({ client, terminal, paint: paintFor(terminal), json, show }, self.args, options)
    })
}

async function localAdminToken({ env }: Terminal): Promise<string | undefined> {
  const file = join(env.SWITCHBACK_DATA ?? '.switchback', 'admin-token')
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trim() === '' ? undefined : text.trim()
}

/** `10%` as 0.1. */
export function parseShare(text: string): number {
  const number = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1]
  const share = Number(number) / 100
  if (number === undefined || share > 1) throw new InvalidArgumentError('expected a percentage, such as 10%')
  return Number(share.toFixed(8))
}

export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number')
  return Number(text)
}

export const migrationPath = (id: string, rest = ''): string =>
  `/v1/migrations/${encodeURIComponent(id)}${rest}`

/** A path with those of the parameters that are given. */
export function withQuery(
  path: string,
  parameters: Readonly<Record<string, string | number | undefined>>,
): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined) query.set(name, String(value))
  return query.size === 0 ? path : `${path}?${query}`
}
