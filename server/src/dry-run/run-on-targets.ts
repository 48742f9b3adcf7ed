import type { MigrationDefinition, MigrationSql, Path } from '@switchback/migrations-registry'
import type { Target } from '../target/target.ts'
import { type DryRun, dryRun } from './dry-run.ts'

interface Migration {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
}

/**
 * The dry run of a migration on copies of the schemas of its targets. Where its paths are in two databases,
 * expand.sql and rollback.sql are about that of new, and contract.sql about that of old.
 */
export async function runOnTargets(
  targets: Readonly<Record<Path, Target>>,
  { definition, sql }: Migration,
): Promise<DryRun> {
  if (targets.old === targets.new) return await dryRun(targets.old, { definition, sql })
  const { contract, ...forNew } = sql
  const fresh = await dryRun(targets.new, { definition, sql: forNew })
  const skipped = fresh.skipped.filter(({ file }) => file !== 'contract')
  if (contract === undefined) return fresh
  const old = await dryRun(targets.old, { definition, sql: { expand: '', contract } })
  return {
    ...fresh,
    statements: [...fresh.statements, ...old.statements],
    skipped: [...skipped, ...old.skipped.filter(({ file }) => file === 'contract')],
    notCopied: [...fresh.notCopied, ...old.notCopied],
    tables: [...fresh.tables, ...old.tables],
    ok: fresh.ok && old.ok,
  }
}
