import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { loadMigrationFolder } from '../migrations-folder/load-migration-folder.ts'
import { type LintResult, lintMigration, lintSql } from './lint.ts'

export interface LintReport extends LintResult {
  /** How many files and migration folders were looked at. */
  readonly judged: number
}

/**
 * Judges files and folders. A folder with `migration.yaml` is one migration; any other is searched for
 * migrations and loose `.sql` files, but for hidden folders and `node_modules`. Never throws.
 */
export async function lintPaths(paths: readonly string[], version: number): Promise<LintReport> {
  const results: LintResult[] = []
  for (const path of paths) results.push(...(await lintPath(path, version)))
  return {
    findings: results.flatMap(({ findings }) => findings),
    unreadable: results.flatMap(({ unreadable }) => unreadable),
    judged: results.length,
  }
}

const failed = (file: string, message: string, line = 1, column = 1): LintResult => ({
  findings: [],
  unreadable: [{ file, line, column, message }],
})

const reason = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file or folder'
  if (code?.startsWith('ERR_ENCODING') === true) return 'not UTF-8 text'
  return code === undefined ? message : `cannot be read: ${code}`
}

async function lintPath(path: string, version: number): Promise<readonly LintResult[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [await lintFile(path, version)]
    const found = await lintFolder(path, version)
    return found.length > 0 ? found : [failed(path, 'holds neither a migration nor an .sql file')]
  } catch (error) {
    return [failed(path, reason(error))]
  }
}

async function lintFile(path: string, version: number): Promise<LintResult> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
    return await lintSql(path, text, version)
  } catch (error) {
    return failed(path, reason(error))
  }
}

async function lintFolder(folder: string, version: number): Promise<readonly LintResult[]> {
  let entries: Dirent[]
  try {
    entries = await readdir(folder, { withFileTypes: true })
  } catch (error) {
    return [failed(folder, reason(error))]
  }
  if (entries.some(({ name }) => name === 'migration.yaml')) return [await lintOne(folder, version)]
  const results: LintResult[] = []
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') {
      results.push(...(await lintFolder(path, version)))
    } else if (!entry.isDirectory() && entry.name.endsWith('.sql')) {
      results.push(await lintFile(path, version))
    }
  }
  return results
}

async function lintOne(folder: string, version: number): Promise<LintResult> {
  const loaded = await loadMigrationFolder(folder)
  if (loaded.ok) return lintMigration(loaded.migration, (file) => join(folder, file), version)
  return {
    findings: [],
    unreadable: loaded.problems.map(({ path: at, message, ...place }) => ({
      ...place,
      message: at === '' ? message : `${at}: ${message}`,
    })),
  }
}
