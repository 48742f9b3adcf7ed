import { formatDuration } from '@switchback/migrations-registry'
import { type Command, InvalidArgumentError } from 'commander'
import { differenceText } from '../catalog/compare-catalogs.ts'
import { targetVariable } from '../config/target-variable.ts'
import { type DryRun, dryRun } from '../dry-run/dry-run.ts'
import type { DryStatement } from '../dry-run/told.ts'
import { createTarget } from '../target/target.ts'
import { UsageError } from './client.ts'
import { oneLine, readMigrations } from './plan-command.ts'
import { parseCount } from './remote.ts'
import { type Paint, paintFor, plain, type Terminal } from './terminal.ts'

interface DryRunFlags {
  readonly target?: string
  readonly inTarget?: boolean
  readonly lockTimeout: number
  readonly budget: number
  readonly sample: number
  readonly json?: boolean
}

const WHAT_IT_DOES = `
Reads the catalog, sizes, counters and locks of the target, in a read-only transaction, and runs the SQL on a
copy of the schema, on a PostgreSQL of its own: nothing waits for it. The copy holds up to --sample rows of each
table that is touched, taken from pages here and there, and the rows they refer to; they are removed afterwards.
With --sample 0 no rows leave the target, and nothing is known of what they would refuse. With --in-target, expand.sql
runs in the target in one transaction that is rolled back: it takes the real locks, for --budget at most.`

/** `dry-run`: what the SQL of a migration would do to a database, without doing it. */
export function addDryRun(program: Command, terminal: Terminal, done: (code: 0 | 1) => void): void {
  program
    .command('dry-run')
    .description('run the SQL of migration folders where it harms nobody: locks, rewrites, who would wait')
    .argument('<folder>')
    .option('--target <url>', 'database; default: the TARGET_<NAME>_URL of the migration')
    .option('--in-target', 'run expand.sql in the target, rolled back')
    .option('--lock-timeout <ms>', 'with --in-target: how long to wait for a lock', parseCount, 100)
    .option('--budget <ms>', 'with --in-target: how long locks may be held', parseBudget, 2_000)
    .option('--sample <rows>', 'rows of each table to copy; 0 copies none', parseCount, 20_000)
    .option('--json', 'print the report as JSON')
    .addHelpText('after', WHAT_IT_DOES)
    .action(async (folder: string, flags: DryRunFlags) => {
      const json = flags.json === true
      const migrations = await readMigrations(folder, terminal, json)
      const runs: DryRun[] = []
      for (const migration of migrations) {
        const url = flags.target ?? urlOf(migration.definition.target, terminal)
        const target = createTarget({ url, name: 'switchback dry run', max: 4, onIdleError: () => undefined })
        try {
          const limits = { lockTimeoutMs: flags.lockTimeout, budgetMs: flags.budget }
          const onStage = (stage: string) => terminal.err(`${migration.definition.id}: ${stage}\n`)
          const where = flags.inTarget === true ? { inTarget: limits } : { sampleRows: flags.sample }
          runs.push(await dryRun(target, migration, { ...where, onStage }))
        } finally {
          await target.end()
        }
      }
      const paint = paintFor(terminal)
      terminal.out(
        json
          ? `${JSON.stringify({ runs }, undefined, 2)}\n`
          : `${runs.map((run) => runText(run, paint)).join('\n\n')}\n`,
      )
      done(runs.every(({ ok }) => ok) ? 0 : 1)
    })
}

function parseBudget(text: string): number {
  const ms = parseCount(text)
  if (ms < 1) throw new InvalidArgumentError('expected at least 1')
  return ms
}

function urlOf(target: string, { env }: Terminal): string {
  const variable = targetVariable(target)
  const url = env[variable]
  if (url === undefined || url === '')
    throw new UsageError(`say which database: --target URL, or set ${variable}`)
  return url
}

function runText(run: DryRun, paint: Paint): string {
  const { version } = run
  const scratch = version.scratch === undefined ? '' : `, PostgreSQL ${version.scratch}`
  const lines = [paint.bold(run.id), `ran ${run.ran}${scratch}; the target is PostgreSQL ${version.target}`]
  let file = ''
  for (const statement of run.statements) {
    if (statement.file !== file) lines.push('', paint.bold(`${statement.file}.sql`))
    file = statement.file
    lines.push(...statementText(statement, paint))
  }
  for (const { file: name, reason } of run.skipped) lines.push(paint.dim(`${name}.sql not run: ${reason}`))
  if (run.rollbackLeaves.length > 0) {
    lines.push('', paint.yellow('after expand.sql and rollback.sql the schema is not as before:'))
    lines.push(...run.rollbackLeaves.map((difference) => `  ${plain(differenceText(difference))}`))
  }
  lines.push(...sampleText(run, paint))
  for (const table of run.tables) {
    const size = `${(table.totalBytes / 1e6).toFixed(1)} MB, about ${Math.round(table.rows)} rows`
    lines.push(
      paint.dim(
        `${plain(table.table)}: ${size}; ${table.readsPerSecond} reads/s, ${table.writesPerSecond} rows written/s`,
      ),
    )
  }
  if (run.notCopied.length > 0) {
    lines.push('', paint.yellow('not on the scratch copy:'))
    lines.push(...run.notCopied.map(({ object, reason }) => plain(`  ${object}: ${reason}`)))
  }
  return lines.join('\n')
}

function sampleText({ sample, copy }: DryRun, paint: Paint): readonly string[] {
  const lines: string[] = []
  for (const { table, rows, of } of sample?.tables ?? []) {
    const all = of === undefined ? 'all of its rows' : `of about ${Math.round(of)} rows`
    lines.push(paint.dim(`${plain(table)}: ran on ${rows} rows, ${all}`))
  }
  for (const { table, reason } of sample?.notSampled ?? []) {
    lines.push(paint.yellow(plain(`${table}: ran without rows: ${reason}`)))
  }
  if (copy?.error !== undefined) lines.push(paint.red(`copying from old to new failed: ${plain(copy.error)}`))
  else if (copy !== undefined) lines.push(`copied ${copy.copied} of the sampled rows from old to new`)
  for (const { key, error } of copy?.failed ?? []) {
    lines.push(paint.red(`  the row ${plain(key)} cannot be copied: ${plain(error)}`))
  }
  return lines
}

/** `about 3s (1s to 9s, measured on a sample)` */
function durationText({ ms, lowMs, highMs, basis }: DryStatement['estimate']): string {
  if (basis === 'catalog only') return 'at once'
  return `about ${formatDuration(ms)} (${formatDuration(lowMs)} to ${formatDuration(highMs)}, ${basis})`
}

function statementText(statement: DryStatement, paint: Paint): readonly string[] {
  const { position, text, runs, locks, seen, blocking, rewrites, scans, inTheWay, estimate, error } =
    statement
  const lines = [`  ${position}. ${plain(oneLine(text))}`]
  if (error !== undefined) return [...lines, paint.red(`     failed: ${plain(error)}`)]
  const flags = [
    runs,
    durationText(estimate),
    ...(blocking ? [paint.yellow('holds up traffic')] : []),
    ...(seen ? [] : ['not seen, as PostgreSQL documents it']),
  ]
  lines.push(`     ${flags.join('; ')}`)
  for (const lock of locks) {
    const what = lock.new ? 'new' : `holds up ${lock.blocks}`
    lines.push(plain(`     ${lock.mode} on ${lock.on}: ${what}`))
  }
  if (rewrites.length > 0) lines.push(paint.yellow(plain(`     writes anew: ${rewrites.join(', ')}`)))
  if (scans.length > 0) lines.push(plain(`     reads all of: ${scans.join(', ')}`))
  for (const { pid, application, ageMs, table, mode } of inTheWay.slice(0, 5)) {
    const who = `backend ${pid} (${application || 'no name'})`
    const held = `${mode} on ${table} for ${formatDuration(ageMs)}`
    lines.push(paint.yellow(plain(`     in the way now: ${who} holds ${held}`)))
  }
  return lines
}
