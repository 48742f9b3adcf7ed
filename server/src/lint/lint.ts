import type { MigrationDefinition, MigrationSql } from '@switchback/migrations-registry'
import { definitionUse } from './definition-use.ts'
import type { Finding } from './finding.ts'
import { lintScript, worldOf } from './lint-script.ts'
import { loadParser, parseScript, type Script, type Unreadable } from './script.ts'

/** The oldest PostgreSQL that is still maintained: what is safe there is safe on later ones. */
export const DEFAULT_VERSION = 14

export interface LintResult {
  /** Sorted by file and place. */
  readonly findings: readonly Finding[]
  /** Files that could not be judged. */
  readonly unreadable: readonly Unreadable[]
}

/**
 * Judges one SQL file as an expand that nothing is known about.
 *
 * @param version major version of the PostgreSQL it is meant for
 */
export async function lintSql(file: string, text: string, version: number): Promise<LintResult> {
  await loadParser()
  const parsed = parseScript(file, text)
  if (!parsed.ok) return { findings: [], unreadable: [parsed.problem] }
  return { findings: lintScript(parsed.script, { version, part: 'expand' }), unreadable: [] }
}

/** Judges the files of a migration by what its definition says. `path` names a file of its folder. */
export async function lintMigration(
  migration: { readonly definition: MigrationDefinition; readonly sql: MigrationSql },
  path: (file: string) => string,
  version: number,
): Promise<LintResult> {
  await loadParser()
  const { definition, sql } = migration
  const use = definitionUse(definition)
  const unreadable: Unreadable[] = []
  const read = (file: string, text: string | undefined): Script | undefined => {
    const parsed = text === undefined ? undefined : parseScript(path(file), text)
    if (parsed?.ok === false) unreadable.push(parsed.problem)
    return parsed?.ok === true ? parsed.script : undefined
  }
  const expand = read('expand.sql', sql.expand)
  const rollback = read('rollback.sql', sql.rollback)
  const contract = read('contract.sql', sql.contract)
  // Without the expand nobody knows what the other files may undo.
  if (expand === undefined) return { findings: [], unreadable }
  const made = worldOf(expand)
  const hasRollback = sql.rollback !== undefined
  const findings = [
    ...lintScript(expand, { version, part: 'expand', use, hasRollback }),
    ...(rollback === undefined ? [] : lintScript(rollback, { version, part: 'rollback', use, made }, expand)),
    ...(contract === undefined ? [] : lintScript(contract, { version, part: 'contract', use, made })),
  ]
  return { findings, unreadable }
}
