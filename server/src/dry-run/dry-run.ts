import type { MigrationDefinition, MigrationSql } from '@switchback/migrations-registry'
import { readCatalog } from '../catalog/read-catalog.ts'
import { appliedStatements } from '../ddl/ddl-records.ts'
import { planFile } from '../plan/statement-plan.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import { holdersNow } from '../target/holders.ts'
import type { Target } from '../target/target.ts'
import { onCopy } from './on-copy.ts'
import type { Ran } from './ran.ts'
import { type InTargetLimits, rehearseInTarget } from './rehearse.ts'
import { onScratchCopy, readRoles } from './scratch.ts'
import { factsBetween, sampleTraffic, type TableFacts, versionOf } from './target-facts.ts'
import { type DryStatement, told } from './told.ts'

export interface DryRun extends Omit<Ran, 'statements' | 'version'> {
  readonly id: string
  readonly ran: 'on a scratch copy' | 'in the target, rolled back'
  readonly version: { readonly target: string; readonly scratch?: string }
  readonly statements: readonly DryStatement[]
  /** Tables that the statements touch. */
  readonly tables: readonly TableFacts[]
  readonly ok: boolean
}

export interface DryRunOptions {
  /** Runs expand.sql in the target itself, in a transaction that is rolled back. */
  readonly inTarget?: InTargetLimits
  /** How many rows of each table that is touched are copied to the scratch copy. Default: none. */
  readonly sampleRows?: number
  /** Told what goes on. */
  readonly onStage?: (stage: string) => void
}

interface Migration {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
}

/** Reads from the target what is needed, runs the SQL of a migration where it harms nobody, and reports. */
export async function dryRun(
  target: Target,
  migration: Migration,
  options: DryRunOptions = {},
): Promise<DryRun> {
  const { sampleRows = 0, onStage: stage = () => undefined } = options
  stage('reading the catalog of the target')
  const first = await sampleTraffic(target)
  const catalog = await readCatalog(target)
  const holders = await holdersNow(target)
  const expanded = await isExpanded(target, migration)
  const original = { catalog, roles: await readRoles(target) }
  stage('making a copy of the schema')
  const { statements: ran, ...rest } = await (options.inTarget === undefined
    ? onScratchCopy(original, (scratch) =>
        onCopy({ target, scratch, sampleRows, stage }, migration, expanded),
      )
    : inTarget(target, migration, options.inTarget))
  const facts = factsBetween(first, await sampleTraffic(target))
  const statements = ran.map((statement) => told(statement, facts, holders))
  const touched = new Set(statements.flatMap(({ locks }) => locks.map(({ on }) => on)))
  const copied = rest.copy === undefined || (rest.copy.error === undefined && rest.copy.failed.length === 0)
  return {
    id: migration.definition.id,
    ran: options.inTarget === undefined ? 'on a scratch copy' : 'in the target, rolled back',
    ...rest,
    version: { target: await versionOf(target), ...rest.version },
    statements,
    tables: [...facts.values()]
      .filter(({ table }) => touched.has(table))
      .sort((a, b) => (a.table < b.table ? -1 : 1)),
    ok: copied && statements.every(({ error }) => error === undefined),
  }
}

/** Whether expand.sql has run in the target as a whole. */
async function isExpanded(target: Target, { definition, sql }: Migration): Promise<boolean> {
  const { rows } = await target.query<{ there: boolean }>(
    `select to_regclass('switchback.statements') is not null as there`,
  )
  if (rows[0]?.there !== true) return false
  const { statements } = await appliedStatements(target, definition.id, 'expand')
  return statements.size > 0 && statements.size === (await parseSql(sql.expand, 'expand.sql')).length
}

async function inTarget(target: Target, { sql }: Migration, limits: InTargetLimits): Promise<Ran> {
  const parsed = await parseSql(sql.expand, 'expand.sql')
  const plans = await planFile('expand', sql.expand)
  const results = await rehearseInTarget(target, parsed, limits)
  return {
    statements: plans.map((plan, index) => ({
      plan,
      rehearsed: results[index],
      changes: [],
      inTarget: true,
    })),
    skipped: [
      { file: 'rollback', reason: 'only expand.sql is run in the target' },
      { file: 'contract', reason: 'only expand.sql is run in the target' },
    ],
    rollbackLeaves: [],
    notCopied: [],
    version: {},
  }
}
