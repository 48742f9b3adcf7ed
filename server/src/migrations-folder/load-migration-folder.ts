import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type DefinitionProblem,
  type MigrationDefinition,
  type MigrationSql,
  parseDefinition,
} from '@switchback/migrations-registry'

/** A migration as its folder holds it, ready to be registered. */
export interface LoadedMigration {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
  /** Text of `migration.yaml`. */
  readonly source: string
}

export type LoadedFolder =
  | { readonly ok: true; readonly folder: string; readonly migration: LoadedMigration }
  | { readonly ok: false; readonly folder: string; readonly problems: readonly DefinitionProblem[] }

const SQL_FILES = ['expand.sql', 'rollback.sql', 'contract.sql'] as const

/** Reads `migration.yaml` and the SQL files beside it. All problems are reported at once; never throws. */
export async function loadMigrationFolder(folder: string): Promise<LoadedFolder> {
  const problems: DefinitionProblem[] = []
  const problem = (file: string, message: string): void => {
    problems.push({ file: join(folder, file), line: 1, column: 1, path: '', message })
  }

  /** The text, or undefined where the file is not there. */
  async function read(file: string): Promise<string | undefined> {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(join(folder, file)))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return undefined
      problem(
        file,
        code === undefined || code.startsWith('ERR_ENCODING') ? 'not UTF-8 text' : `cannot be read: ${code}`,
      )
      return undefined
    }
  }

  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    problems.push({
      file: folder,
      line: 1,
      column: 1,
      path: '',
      message: `not a readable folder: ${error.code}`,
    })
    return undefined
  })
  if (names === undefined) return { ok: false, folder, problems }
  for (const name of names) {
    if (!name.endsWith('.sql') || SQL_FILES.some((known) => known === name)) continue
    problem(name, `nothing runs this file; a migration has ${SQL_FILES.join(', ')}`)
  }
  const [source, expand, rollback, contract] = await Promise.all(['migration.yaml', ...SQL_FILES].map(read))
  const unreadable = (file: string): boolean => problems.some((known) => known.file === join(folder, file))
  if (source === undefined && !unreadable('migration.yaml')) {
    problem('migration.yaml', 'the file is missing; it defines the migration')
  }
  if (expand === undefined && !unreadable('expand.sql')) {
    problem('expand.sql', 'the file is missing; it brings the new schema')
  }
  for (const [i, text] of [expand, rollback, contract].entries()) {
    if (text?.trim() === '')
      problem(SQL_FILES[i] ?? '', 'the file is empty; where nothing is to be done, say so in a comment')
  }
  const parsed = source === undefined ? undefined : parseDefinition(source, join(folder, 'migration.yaml'))
  if (parsed?.ok === false) problems.push(...parsed.problems)
  if (problems.length > 0 || parsed?.ok !== true || source === undefined || expand === undefined) {
    return { ok: false, folder, problems }
  }
  const sql: MigrationSql = {
    expand,
    ...(rollback === undefined ? {} : { rollback }),
    ...(contract === undefined ? {} : { contract }),
  }
  return { ok: true, folder, migration: { definition: parsed.definition, sql, source } }
}

/**
 * Loads every migration folder inside `folder`, in order of name: those that hold a `migration.yaml`. A folder
 * that is itself a migration is loaded alone.
 */
export async function loadMigrationFolders(folder: string): Promise<readonly LoadedFolder[]> {
  if (await isFile(join(folder, 'migration.yaml'))) return [await loadMigrationFolder(folder)]
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined)
  if (entries === undefined) return [await loadMigrationFolder(folder)]
  const names = entries.filter((entry) => !entry.isFile()).map((entry) => entry.name)
  const loaded: LoadedFolder[] = []
  for (const name of names.sort()) {
    const inner = join(folder, name)
    if (await isFile(join(inner, 'migration.yaml'))) loaded.push(await loadMigrationFolder(inner))
  }
  return sameIdTwice(loaded)
}

/** Two folders with one id: which one counts would depend on the order. */
function sameIdTwice(loaded: readonly LoadedFolder[]): readonly LoadedFolder[] {
  const first = new Map<string, string>()
  return loaded.map((entry) => {
    if (!entry.ok) return entry
    const { id } = entry.migration.definition
    const other = first.get(id)
    if (other === undefined) {
      first.set(id, entry.folder)
      return entry
    }
    const file = join(entry.folder, 'migration.yaml')
    const message = `${other} has a migration with the same id`
    return { ok: false, folder: entry.folder, problems: [{ file, line: 1, column: 1, path: 'id', message }] }
  })
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
