import { parseArgs } from 'node:util'

export interface DemoOptions {
  readonly rows: number
  readonly seed: number
  readonly json: boolean
  readonly keep: boolean
  /** kill -9 the server in the middle of the backfill and start it again. */
  readonly killServer: boolean
  /** From retired back to dual-write, where old is served, and forward again. */
  readonly wayBack: boolean
}

export const USAGE = `npm run demo -- [options]

  --rows N        users in the target (default 200000)
  --seed N        seed of the generator (default 20261122)
  --kill-server   kill -9 the server in the middle of the backfill, and start it again
  --way-back      from retired back to dual-write, where old is served again, and forward once more
  --keep          leave everything running, and say where; Ctrl-C ends it
  --json          print the result as one line of JSON at the end`

export function parseOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string', default: '200000' },
      seed: { type: 'string', default: '20261122' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      'way-back': { type: 'boolean', default: false },
      'kill-server': { type: 'boolean', default: false },
    },
  })
  return {
    rows: wholeNumber('--rows', values.rows, 100, 5_000_000),
    seed: wholeNumber('--seed', values.seed, 0, 2 ** 31),
    json: values.json,
    keep: values.keep,
    killServer: values['kill-server'],
    wayBack: values['way-back'],
  }
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new Error(`${name} takes a whole number from ${min} to ${max}, not "${text}"`)
  }
  return value
}
