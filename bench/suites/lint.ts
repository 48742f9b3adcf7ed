import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lintSql } from '@switchback/server'
import { COUNTERPARTS, EXPLAINED } from '../lint/counterparts.ts'
import type { SuiteResult } from '../main.ts'
import { median } from '../measure.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const CORPUS = join(ROOT, 'test/lint-corpus')
const SQUAWK = fileURLToPath(new URL('js/bin/squawk', import.meta.resolve('squawk-cli/package.json')))
const ROUNDS = 7

// What the executor does itself for every statement: no finding of ours, as the page of rules says.
const EXECUTORS = new Set(['require-lock-timeout', 'require-statement-timeout', 'prefer-robust-stmts'])

interface Place {
  readonly rule: string
  readonly file: string
}

/** The corpus through squawk and through us: what each finds, and how long each takes over all of it. */
export async function run(say: (line: string) => void): Promise<SuiteResult> {
  const files = ['bad', 'good'].flatMap((kind) =>
    readdirSync(join(CORPUS, kind)).map((name) => `${kind}/${name}`),
  )
  const theirs = unique(versionsOf(files).flatMap(([version, of]) => squawk(of, version)))
  const ours = new Map<string, readonly string[]>()
  for (const file of files) ours.set(file, await ourRules(file))
  const start = performance.now()
  for (const file of files) await ourRules(file)
  const withoutStart = performance.now() - start

  const safety = theirs.filter(({ rule }) => !EXECUTORS.has(rule))
  const covers = ({ rule, file }: Place): boolean =>
    (COUNTERPARTS[rule] ?? []).some((own) => ours.get(file)?.includes(own))
  const found = safety.filter(covers)
  const absent = safety.filter((place) => !covers(place))
  const explained = absent.flatMap((place) => {
    const why = EXPLAINED[`${place.rule} ${place.file}`]
    return why === undefined ? [] : [{ ...place, why }]
  })
  const missed = absent.filter(({ rule, file }) => EXPLAINED[`${rule} ${file}`] === undefined)
  const onlyOurs = [...ours].flatMap(([file, rules]) =>
    rules
      .filter(
        (rule) => !safety.some((place) => place.file === file && COUNTERPARTS[place.rule]?.includes(rule)),
      )
      .map((rule) => ({ rule, file })),
  )
  say(
    `squawk finds ${safety.length}: ${found.length} found, ${explained.length} explained, ${missed.length} missed`,
  )
  say(`only we find ${onlyOurs.length}`)
  const milliseconds = { ...timesOf(files), switchbackWithoutStart: withoutStart }
  say(`all files, from start to end of the process: ${JSON.stringify(milliseconds)} ms`)
  return {
    suite: 'lint',
    ratios: {
      squawkFindingsFoundOrExplained: (found.length + explained.length) / safety.length,
      timeVsSquawk: milliseconds.switchback / milliseconds.squawk,
    },
    files: files.length,
    squawk: { safetyFindings: safety.length, found: found.length, explained, missed },
    onlyOurs: { findings: onlyOurs.length, byRule: byRule(onlyOurs) },
    milliseconds,
  }
}

const textOf = (file: string): string => readFileSync(join(CORPUS, file), 'utf8')
const versionOf = (file: string): number => Number(/^-- pg: (\d+)$/m.exec(textOf(file))?.[1] ?? 14)

function versionsOf(files: readonly string[]): readonly (readonly [number, readonly string[]])[] {
  return [...new Set(files.map(versionOf))].map((version) => [
    version,
    files.filter((file) => versionOf(file) === version),
  ])
}

async function ourRules(file: string): Promise<readonly string[]> {
  const { findings } = await lintSql(file, textOf(file), versionOf(file))
  return [...new Set(findings.map(({ rule }) => rule))]
}

function squawk(files: readonly string[], version: number): readonly Place[] {
  const args = [SQUAWK, '--reporter', 'json', '--pg-version', `${version}.0`, ...files]
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: CORPUS,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (!stdout.startsWith('[')) throw new Error(`squawk did not answer: ${stderr}`)
  return (JSON.parse(stdout) as readonly { rule_name: string; file: string }[]).map(
    ({ rule_name, file }) => ({
      rule: rule_name,
      file,
    }),
  )
}

/** One finding per rule and file: how often it is said is a matter of taste. */
const unique = (places: readonly Place[]): readonly Place[] => [
  ...new Map(places.map((place) => [`${place.rule} ${place.file}`, place])).values(),
]

function byRule(places: readonly Place[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { rule } of places) counts[rule] = (counts[rule] ?? 0) + 1
  return counts
}

/** Both as their users start them, in turns; the median of the rounds. */
function timesOf(files: readonly string[]): { readonly squawk: number; readonly switchback: number } {
  const main = join(ROOT, 'server/dist/main.js')
  const contestants = {
    squawk: [SQUAWK, '--reporter', 'json', ...files],
    switchback: [main, 'lint', '--json', ...files],
  }
  const times = { squawk: [] as number[], switchback: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of ['squawk', 'switchback'] as const) {
      const start = performance.now()
      spawnSync(process.execPath, contestants[name], { cwd: CORPUS, maxBuffer: 64 * 1024 * 1024 })
      times[name].push(performance.now() - start)
    }
  }
  return { squawk: median(times.squawk), switchback: median(times.switchback) }
}
