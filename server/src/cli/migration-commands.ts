import { READ_VARIANTS, WRITE_VARIANTS } from '@switchback/migrations-registry'
import { type Command, Option } from 'commander'
import { loadMigrationFolders } from '../migrations-folder/load-migration-folder.ts'
import { RefusedError, UsageError } from './client.ts'
import { follow, POLL_MS } from './follow.ts'
import { problemLines } from './problem-text.ts'
import { migrationPath, parseCount, parseShare, type Remote, remote } from './remote.ts'
import { flagsText, gateText, migrationsText, phaseText, statusText } from './status-text.ts'
import type { Terminal } from './terminal.ts'
import type { MigrationView } from './views.ts'

/** One line about where a migration stands now. */
const standing = (view: MigrationView): string => {
  const { state } = view
  const work =
    state.work === undefined || state.work.status === 'done'
      ? ''
      : `, ${state.work.kind} ${state.work.status}`
  return `${view.id}: ${phaseText(state)}, epoch ${state.epoch}; ${flagsText(view)}${work}`
}

async function listMigrations({ client, show, paint }: Remote): Promise<void> {
  const answer = await client.call<{ readonly migrations: readonly MigrationView[] }>('GET', '/v1/migrations')
  show(answer, () => migrationsText(answer.migrations, paint))
}

/** Adds the commands about migrations. */
export function addMigrationCommands(program: Command, terminal: Terminal): void {
  const migrations = program.command('migrations').description('list migrations, or register them')
  remote(
    migrations.command('list', { isDefault: true }).description('all migrations'),
    terminal,
    listMigrations,
  )
  remote(
    migrations
      .command('register')
      .description('register a migration folder, or every migration folder inside a folder')
      .argument('<folder>'),
    terminal,
    register,
  )

  remote(
    program.command('status').description('where migrations stand, or one of them').argument('[id]'),
    terminal,
    async (on, [id]) => {
      if (id === undefined) return listMigrations(on)
      const view = await on.client.call<MigrationView>('GET', migrationPath(id))
      on.show(view, () => statusText(view, on.paint))
    },
  )
  remote(
    program.command('gate').description('what has to hold before the next step').argument('<id>'),
    terminal,
    async (on, [id = '']) => {
      const gate = await on.client.call<NonNullable<MigrationView['gate']>>('GET', migrationPath(id, '/gate'))
      on.show(gate, () => gateText(gate, on.paint))
    },
  )
  remote<{ epoch?: number; force?: string; reason?: string; wait?: boolean }>(
    program
      .command('advance')
      .description('take the next step; refused with the blockers where the gate is closed')
      .argument('<id>')
      .option('--epoch <n>', 'only at this epoch, so that asking twice takes one step', parseCount)
      .option('--force <codes>', 'pass over these blockers (comma-separated); needs --reason')
      .option('--reason <text>')
      .option('--wait', 'follow the work until the step is done'),
    terminal,
    advance,
  )

  /** A command that posts, and then says where the migration stands. */
  function posting<Options extends object>(
    name: string,
    description: string,
    what: (options: Options) => { readonly action: string; readonly body: object },
    options: (command: Command) => Command = (command) => command,
  ): void {
    const command = options(program.command(name).description(description).argument('<id>'))
    remote<Options>(command, terminal, async (on, [id = ''], given) => {
      const { action, body } = what(given)
      const view = await on.client.call<MigrationView>('POST', migrationPath(id, `/${action}`), body)
      on.show(view, () => standing(view))
    })
  }

  posting<{ share?: number; canaries?: number }>(
    'rollout',
    'set the share of reads that new serves, or the number of canary instances',
    ({ share, canaries }) => {
      if ((share === undefined) === (canaries === undefined)) {
        throw new UsageError('rollout takes either --share or --canaries')
      }
      return { action: 'rollout', body: share === undefined ? { canaries } : { share } }
    },
    (command) =>
      command
        .option('--share <percentage>', 'sticky share of keys, such as 10%', parseShare)
        .option('--canaries <n>', 'instances that read new', parseCount),
  )
  posting<{ off?: boolean }>(
    'pause',
    'hold database work and further steps; --off goes on',
    ({ off }) => ({ action: off === true ? 'resume' : 'pause', body: {} }),
    (command) => command.option('--off', 'go on'),
  )
  posting<{ to?: string; reason: string }>(
    'revert',
    'switch the flags back at once; latches until re-armed',
    ({ to, reason }) => ({ action: 'revert', body: { ...(to === undefined ? {} : { to }), reason } }),
    (command) =>
      command.option('--to <phase>', 'further back than one phase').requiredOption('--reason <text>'),
  )
  posting<{ reason: string }>(
    'rearm',
    'let a migration go on after a revert',
    ({ reason }) => ({ action: 'rearm', body: { reason } }),
    (command) => command.requiredOption('--reason <text>'),
  )
  const empty = (action: string) => () => ({ action, body: {} })
  posting('retry', 'try failed database work again', empty('retry'))
  posting('approve', 'approve the contract step', empty('approve'))
  posting('restore', 'bring back what contract dropped, from its archive', empty('restore'))
  posting<{ read?: string; write?: string }>(
    'override',
    'set the read or write flag apart from the phase, within what is safe; "phase" gives it back',
    ({ read, write }) => {
      if (read === undefined && write === undefined) throw new UsageError('override takes --read or --write')
      const value = (variant: string | undefined) => (variant === 'phase' ? null : variant)
      return {
        action: 'flags',
        body: {
          ...(read === undefined ? {} : { read: value(read) }),
          ...(write === undefined ? {} : { write: value(write) }),
        },
      }
    },
    (command) =>
      command
        .addOption(new Option('--read <variant>').choices([...READ_VARIANTS, 'phase']))
        .addOption(new Option('--write <variant>').choices([...WRITE_VARIANTS, 'phase'])),
  )
}

async function register(
  { client, show, terminal }: Remote,
  [folder = '.']: readonly string[],
): Promise<void> {
  const loaded = await loadMigrationFolders(folder)
  if (loaded.length === 0) throw new UsageError(`no folder in ${folder} holds a migration.yaml`)
  const problems = loaded.flatMap((entry) => (entry.ok ? [] : entry.problems))
  if (problems.length > 0) {
    throw new RefusedError({
      title: 'Not a valid migration',
      status: 422,
      code: 'invalid-definition',
      problems,
    })
  }
  const registered: MigrationView[] = []
  for (const entry of loaded) {
    if (!entry.ok) continue
    const { source, sql } = entry.migration
    try {
      registered.push(await client.call<MigrationView>('POST', '/v1/migrations', { yaml: source, sql }))
    } catch (error) {
      if (error instanceof RefusedError && loaded.length > 1) terminal.err(`${entry.folder}:\n`)
      throw error
    }
  }
  show({ migrations: registered }, () => registered.map(standing).join('\n'))
}

async function advance(
  on: Remote,
  [id = '']: readonly string[],
  options: {
    readonly epoch?: number
    readonly force?: string
    readonly reason?: string
    readonly wait?: boolean
  },
): Promise<void> {
  const { client, terminal } = on
  const codes = options.force?.split(',').map((code) => code.trim())
  if (codes !== undefined && options.reason === undefined) throw new UsageError('--force needs --reason')
  const before =
    options.wait === true ? await client.call<MigrationView>('GET', migrationPath(id)) : undefined
  // What is followed is the step that was seen.
  const epoch = options.epoch ?? before?.state.epoch
  const taken = await client.call<MigrationView>('POST', migrationPath(id, '/advance'), {
    ...(epoch === undefined ? {} : { epoch }),
    ...(codes === undefined ? {} : { force: codes }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  })
  const next = before?.gate?.next
  if (before === undefined || next === undefined) {
    on.show(taken, () => standing(taken))
    return
  }
  const result = await follow({ client, terminal, quiet: on.json, pollMs: POLL_MS }, next, before, taken)
  if (result.arrived) {
    on.show(result.view, () => standing(result.view))
    return
  }
  throw new RefusedError({
    title: 'The step was not completed',
    status: 409,
    code: 'not-completed',
    detail: `${standing(result.view)}\n${result.why}`,
    action: `switchback status ${id}`,
  })
}

/** `validate`: what can be said of migration folders without a server. */
export function addValidate(program: Command, terminal: Terminal): void {
  program
    .command('validate')
    .description('check migration folders without a server')
    .argument('<folder>')
    .option('--json', 'print the result as JSON')
    .action(async (folder: string, options: { readonly json?: boolean }) => {
      const loaded = await loadMigrationFolders(folder)
      if (loaded.length === 0) throw new UsageError(`no folder in ${folder} holds a migration.yaml`)
      const problems = loaded.flatMap((entry) => (entry.ok ? [] : entry.problems))
      const valid = loaded.flatMap((entry) => (entry.ok ? [entry.migration.definition.id] : []))
      if (options.json === true) {
        terminal.out(`${JSON.stringify({ ok: problems.length === 0, valid, problems }, undefined, 2)}\n`)
      } else if (valid.length > 0) {
        terminal.out(`valid: ${valid.join(', ')}\n`)
      }
      if (problems.length === 0) return
      if (options.json !== true) terminal.err(`${problemLines(problems)}\n`)
      throw new InvalidFoldersError()
    })
}

/** Everything there is to say has been said. */
export class InvalidFoldersError extends Error {
  override readonly name = 'InvalidFoldersError'
}
