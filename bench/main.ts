/** npm run bench -- SUITE [--json] [--rows N] [--rounds N] [--large]: measurements as ratios within one run, beside the peer. */
import { parseArgs } from 'node:util'

/** Result of a suite: ratios are what counts; the rest lets a person judge them. */
export interface SuiteResult {
  readonly suite: string
  readonly ratios: Readonly<Record<string, number>>
  readonly [detail: string]: unknown
}

export interface SuiteOptions {
  /** Rows of the tables, where the suite has such. */
  readonly rows?: number
  readonly rounds?: number
  /** Also with ten times as many rows, where the suite has such a part: it takes minutes, and gigabytes. */
  readonly large?: boolean
}

interface Suite {
  run(say: (line: string) => void, options: SuiteOptions): Promise<SuiteResult>
}

const SUITES: Readonly<Record<string, () => Promise<Suite>>> = {
  backfill: () => import('./suites/backfill.ts'),
  ddl: () => import('./suites/ddl.ts'),
  gate: () => import('./suites/gate.ts'),
  lint: () => import('./suites/lint.ts'),
  revert: () => import('./suites/revert.ts'),
  router: () => import('./suites/router.ts'),
  transaction: () => import('./suites/transaction.ts'),
  verify: () => import('./suites/verify.ts'),
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      rows: { type: 'string' },
      rounds: { type: 'string' },
      large: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  })
  const name = positionals[0] ?? ''
  const load = SUITES[name]
  if (load === undefined || positionals.length !== 1) {
    console.error(
      `npm run bench -- SUITE [--json] [--rows N] [--rounds N] [--large], where SUITE is one of ${Object.keys(SUITES).join(', ')}`,
    )
    return 2
  }
  const suite = await load()
  const result = await suite.run((line) => process.stderr.write(`${line}\n`), {
    large: values.large,
    ...(values.rows === undefined ? {} : { rows: Number(values.rows) }),
    ...(values.rounds === undefined ? {} : { rounds: Number(values.rounds) }),
  })
  if (values.json) console.log(JSON.stringify(result))
  else console.log(JSON.stringify(result, null, 2))
  return 0
}

process.exitCode = await main()
