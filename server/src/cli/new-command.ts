import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { migrationIdSchema } from '@switchback/migrations-registry'
import type { Command } from 'commander'
import { DEFAULT_VERSION } from '../lint/lint.ts'
import { lintPaths } from '../lint/lint-paths.ts'
import { loadMigrationFolders } from '../migrations-folder/load-migration-folder.ts'
import { composeMigration, type NewCopy, type NewMigration } from '../new-migration/compose-migration.ts'
import { type MappedColumn, parseColumns } from '../new-migration/mapped-columns.ts'
import { readColumns } from '../new-migration/read-columns.ts'
import { createTarget } from '../target/target.ts'
import { UsageError } from './client.ts'
import { InvalidFoldersError } from './migration-commands.ts'
import { problemLines } from './problem-text.ts'
import { plain, type Terminal } from './terminal.ts'

interface NewOptions {
  readonly in: string
  readonly title?: string
  readonly from?: string
  readonly to?: string
  readonly key?: string
  readonly columns?: string
  readonly app: readonly string[]
  readonly target?: string
  readonly targetName: string
  readonly schemaOnly?: boolean
  readonly json?: boolean
}

const HELP = `
Examples:
  switchback new user-profiles --from users --to user_profiles --key user_id=id --columns bio,preferences
  switchback new user-profiles --from users --to user_profiles --target "$TARGET_MAIN_URL"
  switchback new faster-search --schema-only`

/** `new`: writes a migration folder, to be looked through and registered. */
export function addNew(program: Command, terminal: Terminal): void {
  program
    .command('new')
    .description('write a migration folder that passes validate and lint')
    .argument('<id>', 'lower-case words joined by dashes')
    .option('--in <folder>', 'where the folder is made', '.')
    .option('--title <text>')
    .option('--from <table>', 'that old reads and writes')
    .option('--to <table>', 'that new reads and writes; expand.sql makes it')
    .option('--key <columns>', 'of the new table: user_id=id; with --target, by default the primary key')
    .option('--columns <columns>', 'bio,rating=coalesce(stars, 0); with --target, by default all')
    .option('--app <name...>', 'applications whose every instance must have handlers', [])
    .option('--target <url>', 'database whose catalog says types, defaults and keys; only read')
    .option('--target-name <name>', 'of the database, in the definition', 'main')
    .option('--schema-only', 'a change without paths, such as an index')
    .option('--json', 'print what was written as JSON')
    .addHelpText('after', HELP)
    .action(async (id: string, options: NewOptions) => {
      const { folder, files } = await writeMigration(id, options, terminal)
      await proveFolder(folder, terminal)
      terminal.out(
        options.json === true
          ? `${JSON.stringify({ id, folder, files }, undefined, 2)}\n`
          : plain(`${files.map((file) => join(folder, file)).join('\n')}
Look them through, then: switchback plan ${folder}; switchback migrations register ${folder}\n`),
      )
    })
}

async function writeMigration(id: string, options: NewOptions, terminal: Terminal) {
  const named = migrationIdSchema.safeParse(id)
  if (!named.success) throw new UsageError(`"${id}" is no id: ${named.error.issues[0]?.message}`)
  if (!/^[a-z][a-z0-9-]*$/.test(options.targetName))
    throw new UsageError(
      `"${options.targetName}" is no name of a database: lower-case letters, digits and dashes`,
    )
  const existing = await loadMigrationFolders(options.in)
  const same = existing.find((entry) => entry.ok && entry.migration.definition.id === id)
  if (same !== undefined) throw new UsageError(`${same.folder} has the id ${id} already`)
  const copy = options.schemaOnly === true ? undefined : await copyOf(options)
  const wanted: NewMigration = {
    id,
    title: options.title ?? (copy === undefined ? id : `Columns of ${copy.from} move to ${copy.to}`),
    target: options.targetName,
    apps: options.app,
    copy,
  }
  const contents = await composeMigration(wanted)
  const folder = join(options.in, `${new Date(terminal.now()).toISOString().slice(0, 7)}-${id}`)
  try {
    await mkdir(options.in, { recursive: true })
    await mkdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new UsageError(
      code === 'EEXIST'
        ? `${folder} is there already; nothing is overwritten`
        : `${folder} cannot be made: ${code}`,
    )
  }
  for (const [file, text] of Object.entries(contents)) {
    await writeFile(join(folder, file), text, { flag: 'wx' })
  }
  return { folder, files: Object.keys(contents) }
}

async function copyOf(options: NewOptions): Promise<NewCopy> {
  const { from, to, target } = options
  if (from === undefined || to === undefined)
    throw new UsageError('say --from and --to, or --schema-only for a change without paths')
  for (const table of [from, to]) {
    if (!/^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$/.test(table))
      throw new UsageError(`"${table}" is no table name, optionally with its schema`)
  }
  if (from === to)
    throw new UsageError(
      '--from and --to are the same table; for a column beside another see docs/examples/rename-column',
    )
  const key = await columnsIn('--key', options.key)
  const columns = await columnsIn('--columns', options.columns)
  const twice = columns?.find((one) => key?.some(({ column }) => column === one.column))
  if (twice !== undefined) throw new UsageError(`the column ${twice.column} is in --key and in --columns`)
  if (target === undefined) {
    if (key === undefined || columns === undefined)
      throw new UsageError('say --key and --columns, or --target to read them from the catalog')
    return { from, to, key, columns, catalog: undefined }
  }
  const catalog = await catalogOf(target, { from, to, key, columns })
  return { from, to, key: catalog.key, columns: catalog.columns, catalog }
}

async function columnsIn(
  option: string,
  text: string | undefined,
): Promise<readonly MappedColumn[] | undefined> {
  if (text === undefined) return undefined
  const parsed = await parseColumns(text)
  if (!parsed.ok) throw new UsageError(`${option}: ${parsed.message}`)
  return parsed.columns
}

async function catalogOf(url: string, asked: Parameters<typeof readColumns>[1]) {
  const target = createTarget({ url, name: 'switchback new', max: 1, onIdleError: () => undefined })
  try {
    const answer = await readColumns(target, asked)
    if (!answer.ok) throw new UsageError(answer.message)
    return answer.mapping
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `the target did not answer: ${error instanceof Error ? error.message : String(error)}`,
    )
  } finally {
    await target.end()
  }
}

/** What was written is judged as `validate` and `lint` would: what this command writes must pass. */
async function proveFolder(folder: string, terminal: Terminal): Promise<void> {
  const loaded = await loadMigrationFolders(folder)
  const problems = loaded.flatMap((entry) => (entry.ok ? [] : entry.problems))
  const { findings, unreadable } = await lintPaths([folder], DEFAULT_VERSION)
  const found = findings.filter(({ severity }) => severity === 'error')
  const all = [...problems, ...unreadable, ...found]
  if (all.length === 0) return
  terminal.err(`${problemLines(all)}\n`)
  throw new InvalidFoldersError()
}
