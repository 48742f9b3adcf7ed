import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Finding } from '../lint/finding.ts'
import { githubAnnotation } from '../lint/github-report.ts'
import { DEFAULT_VERSION } from '../lint/lint.ts'
import { type LintReport, lintPaths } from '../lint/lint-paths.ts'
import { sarifReport } from '../lint/sarif-report.ts'
import { createSource, type Source } from '../lint/source.ts'
import { type LineOf, type Marks, textOf } from '../lint/text-report.ts'
import { paintFor, plain, type Terminal } from './terminal.ts'

type Format = 'text' | 'json' | 'github' | 'sarif'

interface LintFlags {
  readonly format: Format
  readonly json?: boolean
  readonly pgVersion: number
}

/** 0 clean or warnings only, 1 a finding of severity error, 2 something could not be read. */
type LintExit = 0 | 1 | 2

export function addLint(program: Command, terminal: Terminal, done: (code: LintExit) => void): void {
  program
    .command('lint')
    .description('judge SQL before it runs: what blocks, breaks running instances, or cannot turn round')
    .argument('<path...>', 'SQL files, migration folders, or folders that hold such')
    .addOption(
      new Option('--format <format>', 'how to print')
        .choices(['text', 'json', 'github', 'sarif'])
        .default('text'),
    )
    .option('--json', 'the same as --format json')
    .option('--pg-version <major>', 'PostgreSQL it is meant for', majorVersion, DEFAULT_VERSION)
    .addHelpText(
      'after',
      '\nExit codes: 0 clean, 1 findings of severity error, 2 something could not be read.\n' +
        'To allow one: `-- switchback:allow <rule> because <reason>` on a line before the statement.',
    )
    .action(async (paths: readonly string[], flags: LintFlags, command: Command) => {
      const report = await lintPaths(paths, flags.pgVersion)
      print(report, flags.json === true ? 'json' : flags.format, terminal, command.parent?.version() ?? '')
      const failed = report.findings.some(({ severity }) => severity === 'error')
      done(report.unreadable.length > 0 ? 2 : failed ? 1 : 0)
    })
}

function majorVersion(text: string): number {
  const major = /^(\d{1,2})(\.\d+)*$/.exec(text)?.[1]
  if (major === undefined || Number(major) < 9) {
    throw new InvalidArgumentError('expected a version of PostgreSQL, such as 16')
  }
  return Number(major)
}

function print(report: LintReport, format: Format, terminal: Terminal, version: string): void {
  const { findings, unreadable } = report
  const json = (value: unknown): void => terminal.out(`${JSON.stringify(value, undefined, 2)}\n`)
  if (format === 'json') json({ findings, unreadable })
  else if (format === 'sarif') json(sarifReport(report, version))
  else if (format === 'github') {
    for (const finding of findings) terminal.out(`${githubAnnotation(finding)}\n`)
  } else printText(findings, report.judged, terminal)
  for (const { file, line, column, message } of unreadable) {
    terminal.err(`${plain(`${file}:${line}:${column} ${message}`)}\n`)
  }
}

function printText(findings: readonly Finding[], judged: number, terminal: Terminal): void {
  const paint = paintFor(terminal)
  const marks: Marks = { error: paint.red, warning: paint.yellow, strong: paint.bold, weak: paint.dim }
  const lineOf = createLineReader()
  for (const finding of findings) terminal.out(`${textOf(finding, lineOf, marks)}\n`)
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const warnings = findings.length - errors
  const count = (number: number, one: string): string => `${number} ${one}${number === 1 ? '' : 's'}`
  terminal.out(`${count(errors, 'error')}, ${count(warnings, 'warning')} in ${count(judged, 'place')}\n`)
}

/** Reads a file once, when its first line is asked for. */
function createLineReader(): LineOf {
  const sources = new Map<string, Source>()
  return (file, line) => {
    let source = sources.get(file)
    if (source === undefined) {
      source = createSource(file, readFileSync(file, 'utf8'))
      sources.set(file, source)
    }
    const last = source.position(source.length).line
    return line > last ? undefined : source.line(line)
  }
}
