import { Command, CommanderError } from 'commander'
import { addAlertCommands } from './alert-commands.ts'
import { RefusedError, UndecidedError, UnreachableError, UsageError } from './client.ts'
import { addCopyCommands } from './copy-commands.ts'
import { addCanIDeploy } from './deploy-command.ts'
import { addDoctor } from './doctor-command.ts'
import { addDrift } from './drift-command.ts'
import { addDryRun } from './dry-run-command.ts'
import { addFleetCommands } from './fleet-commands.ts'
import { addLint } from './lint-command.ts'
import { addMigrationCommands, addValidate, InvalidFoldersError } from './migration-commands.ts'
import { addNew } from './new-command.ts'
import { addNotifyCommands } from './notify-commands.ts'
import { addPlan } from './plan-command.ts'
import { problemText } from './problem-text.ts'
import { addRecordCommands } from './record-commands.ts'
import { addReviewCommands } from './review-commands.ts'
import { addSessionCommands } from './session-commands.ts'
import { paintFor, type Terminal } from './terminal.ts'
import { addTokenCommands } from './token-commands.ts'
import { addVerify } from './verify-command.ts'

export interface CliDeps {
  readonly terminal: Terminal
  readonly version: string
  /** Runs the server until it is told to stop; resolves to the exit code. */
  readonly serve: () => Promise<number>
  /** Runs database work alone until it is told to stop; resolves to the exit code. */
  readonly worker: () => Promise<number>
}

/** Exit codes, for pipelines. */
const EXIT = { ok: 0, refused: 1, usage: 2 } as const

const HELP = `
Exit codes: 0 done, 1 refused or failed, 2 used wrongly or no server there.
The server is $SWITCHBACK_URL, the token $SWITCHBACK_TOKEN or, beside the server, its own admin token.`

/**
 * The command `switchback`.
 *
 * @param argv arguments after the command's own name
 * @returns the exit code; every error has been printed in words
 */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  const { terminal } = deps
  let code: number = EXIT.ok
  const program = new Command('switchback')
    .description('Feature flags with schema-version gating: every migration can turn round.')
    .version(deps.version)
    .showHelpAfterError('(see --help)')
    .addHelpText('after', HELP)
    // `--version` of a command is its own.
    .enablePositionalOptions()
  program.exitOverride().configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
  program
    .command('serve')
    .description('run the server; settings come from the environment')
    .action(async () => {
      code = await deps.serve()
    })
  program
    .command('worker')
    .description('run database work alone, beside servers')
    .action(async () => {
      code = await deps.worker()
    })
  addMigrationCommands(program, terminal)
  addVerify(program, terminal)
  addCopyCommands(program, terminal)
  addCanIDeploy(program, terminal, (exit) => {
    code = exit
  })
  addFleetCommands(program, terminal)
  addRecordCommands(program, terminal)
  addAlertCommands(program, terminal)
  addReviewCommands(program, terminal, addNotifyCommands(program, terminal))
  addTokenCommands(program, terminal)
  addSessionCommands(program, terminal)
  addNew(program, terminal)
  addDoctor(program, terminal, (exit) => {
    code = exit
  })
  addValidate(program, terminal)
  addDrift(program, terminal, (exit) => {
    code = exit
  })
  addPlan(program, terminal)
  addDryRun(program, terminal, (exit) => {
    code = exit
  })
  addLint(program, terminal, (exit) => {
    code = exit
  })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    return explain(error, terminal, argv.includes('--json'))
  }
}

function explain(error: unknown, terminal: Terminal, json: boolean): number {
  const paint = paintFor(terminal)
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof InvalidFoldersError) return EXIT.refused
  if (error instanceof RefusedError) {
    if (json) terminal.out(`${JSON.stringify({ error: error.problem }, undefined, 2)}\n`)
    else terminal.err(`${problemText(error.problem, paint)}\n`)
    return error instanceof UndecidedError ? EXIT.usage : EXIT.refused
  }
  if (error instanceof UnreachableError || error instanceof UsageError) {
    const problem = { title: error.message, code: error instanceof UsageError ? 'usage' : 'unreachable' }
    if (json) terminal.out(`${JSON.stringify({ error: problem }, undefined, 2)}\n`)
    else terminal.err(`${paint.red(error.message)}\n`)
    return EXIT.usage
  }
  terminal.err(`${paint.red(error instanceof Error ? error.message : String(error))}\n`)
  return EXIT.refused
}
