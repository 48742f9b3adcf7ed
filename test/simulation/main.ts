import { parseArgs } from 'node:util'
import { isMutant, MUTANTS } from './protocol/mutants.ts'
import { simulate } from './protocol/simulation.ts'

const USAGE = `npm run sim -- [--seeds N] [--from S] [--seed S] [--mutant NAME] [--json] [--list-mutants]

  --seeds N        how many seeds to run, default 1000
  --from S         the first of them, default 1
  --seed S         runs this seed alone and prints its trace
  --mutant NAME    takes one guard out; the run ends at the first seed that catches it
  --list-mutants   one a line: its name, then what is taken out
  --json           the last line is a JSON object
`

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
  const print = (line: string) => process.stdout.write(`${line}\n`)
  if (values.help) {
    print(USAGE)
    return 0
  }
  if (values['list-mutants']) {
    for (const [name, what] of Object.entries(MUTANTS)) print(`${name}  ${what}`)
    return 0
  }
  const { mutant } = values
  if (mutant !== undefined && !isMutant(mutant)) {
    process.stderr.write(`there is no mutant "${mutant}"; see --list-mutants\n`)
    return 2
  }
  const one = values.seed === undefined ? undefined : whole(values.seed)
  const first = one ?? whole(values.from)
  const count = one === undefined ? whole(values.seeds) : 1
  if (first === undefined || count === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  const began = performance.now()
  let steps = 0
  let seeds = 0
  const failed: number[] = []
  for (let seed = first; seed < first + count; seed++) {
    const result = await simulate({ seed, mutant, trace: one !== undefined })
    seeds++
    steps += result.steps
    if (one !== undefined) for (const line of result.trace) print(line)
    if (result.violation === undefined) continue
    failed.push(seed)
    if (one === undefined) {
      const again = await simulate({ seed, mutant, trace: true })
      for (const line of again.trace) print(line)
    }
    print(`seed ${seed}: ${result.violation.message}`)
    print(`replay: npm run sim -- --seed ${seed}${mutant === undefined ? '' : ` --mutant ${mutant}`}`)
    if (mutant !== undefined || failed.length >= 5) break
  }
  const ms = Math.round(performance.now() - began)
  const summary = { seeds, steps, violations: failed.length, failed, mutant: mutant ?? null, ms }
  if (values.json) print(JSON.stringify(summary))
  else print(`${seeds} seeds, ${steps} steps, ${failed.length} violations, ${(ms / 1000).toFixed(1)} s`)
  const expected = mutant !== undefined && one === undefined
  return expected === failed.length > 0 ? 0 : 1
}

/** A seed, or a number of them. */
function whole(text: string): number | undefined {
  const value = Number(text)
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

process.exitCode = await main()
