import { parseArgs } from 'node:util'
import { isMutant, MUTANTS, type Mutant } from './protocol/mutants.ts'
import { simulate } from './protocol/simulation.ts'
import { type SweepResult, sweep } from './sweep.ts'

const USAGE = `npm run sim -- [--seeds N] [--from S] [--seed S] [--mutant NAME] [--json] [--list-mutants]

  --seeds N        how many seeds to run, default 1000
  --from S         the first of them, default 1
  --seed S         runs this seed alone and prints its trace
  --mutant NAME    takes one guard out; the run ends at the first seed that catches it
  --mutant all     one mutant after the other, each up to the first seed that catches it
  --list-mutants   one a line: its name, then what is taken out
  --json           the last line is a JSON object

Exit code 0: no violation; with a mutant, that it was caught. How to read a trace: docs/decisions/simulation.md
`
/** Enough to see what is wrong. */
const MOST_VIOLATIONS = 5

const print = (line: string): void => void process.stdout.write(`${line}\n`)
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
const flagOf = (mutant: Mutant | undefined): string => (mutant === undefined ? '' : ` --mutant ${mutant}`)

interface Run {
  readonly first: number
  readonly count: number
  readonly json: boolean
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      mutant: { type: 'string' },
      json: { type: 'boolean', default: false },
      'list-mutants': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    print(USAGE)
    return 0
  }
  if (values['list-mutants']) {
    for (const [name, what] of Object.entries(MUTANTS)) print(`${name}  ${what}`)
    return 0
  }
  const { mutant, json } = values
  if (mutant !== undefined && mutant !== 'all' && !isMutant(mutant)) {
    process.stderr.write(`there is no mutant "${mutant}"; see --list-mutants\n`)
    return 2
  }
  const one = values.seed === undefined ? undefined : whole(values.seed)
  const run = { first: whole(values.from), count: whole(values.seeds), json }
  if (
    run.first === undefined ||
    run.count === undefined ||
    (values.seed !== undefined && one === undefined)
  ) {
    process.stderr.write(USAGE)
    return 2
  }
  const range: Run = { first: run.first, count: run.count, json }
  if (mutant === 'all') return runAllMutants(range)
  return one === undefined ? runSeeds(range, mutant) : runOne(one, mutant, json)
}

/** A seed, or a number of them. */
function whole(text: string): number | undefined {
  const value = Number(text)
  return text !== '' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

const tell =
  (what: string, count: number) =>
  ({ seeds, steps, failed }: SweepResult): void => {
    process.stderr.write(`${what}${seeds} of ${count} seeds, ${steps} steps, ${failed.length} violations\n`)
  }

async function runSeeds({ first, count, json }: Run, mutant: Mutant | undefined): Promise<number> {
  const began = performance.now()
  const { seeds, steps, failed } = await sweep({
    first,
    count,
    mutant,
    stopAfter: mutant === undefined ? MOST_VIOLATIONS : 1,
    onViolation: (seed, message, trace) => {
      for (const line of trace) print(line)
      print(`seed ${seed}: ${message}`)
      print(`replay: npm run sim -- --seed ${seed}${flagOf(mutant)}`)
    },
    onProgress: tell('', count),
  })
  const ms = Math.round(performance.now() - began)
  const violations = failed.length
  const summary = { seeds, steps, violations, failed, mutant: mutant ?? null, ms }
  if (json) print(JSON.stringify(summary))
  else print(`${seeds} seeds, ${steps} steps, ${violations} violations, ${seconds(ms)}`)
  return (mutant !== undefined) === violations > 0 ? 0 : 1
}

async function runOne(seed: number, mutant: Mutant | undefined, json: boolean): Promise<number> {
  const { steps, trace, violation } = await simulate({ seed, mutant, trace: true })
  for (const line of trace) print(line)
  const violations = violation === undefined ? 0 : 1
  print(`seed ${seed}${flagOf(mutant)}: ${violation?.message ?? 'no violation'}`)
  if (json) print(JSON.stringify({ seeds: 1, steps, violations, failed: violations === 0 ? [] : [seed] }))
  return violations
}

async function runAllMutants({ first, count, json }: Run): Promise<number> {
  const began = performance.now()
  const mutants: { mutant: string; caughtBy: number | null; seeds: number; violation: string | null }[] = []
  for (const mutant of Object.keys(MUTANTS).filter(isMutant)) {
    let violation: string | null = null
    const { seeds, failed } = await sweep({
      first,
      count,
      mutant,
      stopAfter: 1,
      onViolation: (_seed, message) => {
        violation = message
      },
      onProgress: tell(`${mutant}: `, count),
    })
    mutants.push({ mutant, caughtBy: failed[0] ?? null, seeds, violation })
    const verdict =
      failed[0] === undefined ? `NOT CAUGHT in ${seeds} seeds` : `seed ${failed[0]}: ${violation}`
    print(`${mutant.padEnd(34)} ${verdict}`)
  }
  const ms = Math.round(performance.now() - began)
  const caught = mutants.filter(({ caughtBy }) => caughtBy !== null).length
  if (json) print(JSON.stringify({ mutants, caught, of: mutants.length, ms }))
  else print(`${caught} of ${mutants.length} mutants caught, ${seconds(ms)}`)
  return caught === mutants.length ? 0 : 1
}

// Transactions that lose are part of every run, and their stacks cost a tenth of it.
Error.stackTraceLimit = 0
process.exitCode = await main()
