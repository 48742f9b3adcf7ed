import type { Command } from 'commander'
import { type LoadedMigration, loadMigrationFolders } from '../migrations-folder/load-migration-folder.ts'
import { type MigrationPlan, planMigration } from '../plan/plan-migration.ts'
import type { PlannedLock, StatementPlan } from '../plan/statement-plan.ts'
import { UsageError } from './client.ts'
import { InvalidFoldersError } from './migration-commands.ts'
import { problemLines } from './problem-text.ts'
import { type Paint, paintFor, plain, type Terminal, table } from './terminal.ts'

/** Reads the migrations of a folder; what is wrong with them has been printed where it throws. */
export async function readMigrations(
  folder: string,
  terminal: Terminal,
  json: boolean,
): Promise<readonly LoadedMigration[]> {
  const loaded = await loadMigrationFolders(folder)
  if (loaded.length === 0) throw new UsageError(`no folder in ${folder} holds a migration.yaml`)
  const problems = loaded.flatMap((entry) => (entry.ok ? [] : entry.problems))
  if (problems.length > 0) {
    if (json) terminal.out(`${JSON.stringify({ problems }, undefined, 2)}\n`)
    else terminal.err(`${problemLines(problems)}\n`)
    throw new InvalidFoldersError()
  }
  return loaded.flatMap((entry) => (entry.ok ? [entry.migration] : []))
}

/** `plan`: what a migration would do, without a server and without a database. */
export function addPlan(program: Command, terminal: Terminal): void {
  program
    .command('plan')
    .description('show phases, statements, locks, gates and ways back of migration folders')
    .argument('<folder>')
    .option('--json', 'print the plan as JSON')
    .action(async (folder: string, { json = false }: { readonly json?: boolean }) => {
      const migrations = await readMigrations(folder, terminal, json)
      const plans: MigrationPlan[] = []
      for (const { definition, sql } of migrations) plans.push(await planMigration(definition, sql))
      const paint = paintFor(terminal)
      terminal.out(
        json
          ? `${JSON.stringify({ plans }, undefined, 2)}\n`
          : `${plans.map((plan) => planText(plan, paint)).join('\n\n')}\n`,
      )
    })
}

export const oneLine = (text: string, length = 100): string => {
  const flat = text.replaceAll(/\s+/g, ' ').trim()
  return flat.length > length ? `${flat.slice(0, length - 1)}…` : flat
}

const lockText = ({ mode, on, blocks, new: made }: PlannedLock): string =>
  made ? `${mode} on ${on}, which is new` : `${mode} on ${on}: holds up ${blocks}`

function planText(plan: MigrationPlan, paint: Paint): string {
  const { id, title, target, phases, statements } = plan
  const lines = [paint.bold(plain(`${id}  ${title}`)), `target  ${target}`, '']
  lines.push(
    table(
      ['phase', 'runs', 'way back'],
      phases.map(({ phase, runs, wayBack }) => [phase, runs === undefined ? '' : `${runs}.sql`, wayBack]),
      paint,
    ),
    '',
    paint.bold('gates'),
  )
  for (const { phase, gate } of phases) {
    if (gate.length === 0) continue
    lines.push(`  ${phase}`, ...gate.map((condition) => `    - ${plain(condition)}`))
  }
  for (const file of ['expand', 'rollback', 'contract'] as const) {
    const own = statements.filter((statement) => statement.file === file)
    if (own.length === 0) continue
    lines.push('', paint.bold(`${file}.sql`), ...own.flatMap((statement) => statementText(statement, paint)))
  }
  return lines.join('\n')
}

function statementText(statement: StatementPlan, paint: Paint): readonly string[] {
  const { position, text, runs, locks, blocking, work } = statement
  const takes = work === 'catalog' ? 'the catalog only' : `time by the size of the table (${work})`
  return [
    `  ${position}. ${plain(oneLine(text))}`,
    `     ${runs}; ${takes}${blocking ? paint.yellow('; holds up traffic') : ''}`,
    ...locks.map((lock) => `     ${plain(lockText(lock))}`),
  ]
}
