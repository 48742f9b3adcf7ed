import type { MigrationDefinition, MigrationSql } from '@switchback/migrations-registry'
import { type CatalogDifference, compareCatalogs } from '../catalog/compare-catalogs.ts'
import { readCatalog } from '../catalog/read-catalog.ts'
import { appliedStatements } from '../execution/ddl-records.ts'
import { type Holder, holdersNow, inTheWayOf } from '../execution/holders.ts'
import { parseSql } from '../execution/sql-statements.ts'
import type { Target } from '../execution/target.ts'
import { blocks, holdsUpTraffic, strongest } from '../lint/locks.ts'
import { type PlannedFile, type PlannedLock, planFile, type StatementPlan } from '../plan/statement-plan.ts'
import { estimateMs } from './estimate.ts'
import { type InTargetLimits, type Rehearsed, rehearse, rehearseInTarget } from './rehearse.ts'
import { onScratchCopy, readRoles, type Scratch } from './scratch.ts'
import { factsBetween, sampleTraffic, type TableFacts } from './target-facts.ts'

export interface DryStatement extends StatementPlan {
  /** Whether the locks were seen, or are those that PostgreSQL's manual tells of. */
  readonly seen: boolean
  readonly rewrites: readonly string[]
  readonly scans: readonly string[]
  /** What it changed in the catalog. */
  readonly changes: readonly CatalogDifference[]
  /** Milliseconds that it would take with its locks in hand, estimated from sizes. */
  readonly estimateMs: number
  /** Sessions that it would have to wait for at this moment. */
  readonly inTheWay: readonly Holder[]
  readonly error?: string
}

export interface DryRun {
  readonly id: string
  readonly ran: 'on a scratch copy' | 'in the target, rolled back'
  readonly version: { readonly target: string; readonly scratch?: string }
  readonly statements: readonly DryStatement[]
  /** Files that were not run, with the reason. */
  readonly skipped: readonly { readonly file: PlannedFile; readonly reason: string }[]
  /** What is other than before after expand.sql and rollback.sql; empty where rollback undoes all. */
  readonly rollbackLeaves: readonly CatalogDifference[]
  readonly notCopied: Scratch['notCopied']
  /** Tables that the statements touch. */
  readonly tables: readonly TableFacts[]
  readonly ok: boolean
}

export interface DryRunOptions {
  /** Runs expand.sql in the target itself, in a transaction that is rolled back. */
  readonly inTarget?: InTargetLimits
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
  const first = await sampleTraffic(target)
  const catalog = await readCatalog(target)
  const holders = await holdersNow(target)
  const expanded = await isExpanded(target, migration)
  const ran = await (options.inTarget === undefined
    ? onScratchCopy({ catalog, roles: await readRoles(target) }, (scratch) =>
        onCopy(scratch, migration, expanded),
      )
    : inTarget(target, migration, options.inTarget))
  const facts = factsBetween(first, await sampleTraffic(target))
  const statements = ran.statements.map(({ plan, rehearsed, changes }) =>
    told(plan, rehearsed, changes, facts, holders),
  )
  const touched = new Set(statements.flatMap(({ locks }) => locks.map(({ on }) => on)))
  return {
    id: migration.definition.id,
    ran: options.inTarget === undefined ? 'on a scratch copy' : 'in the target, rolled back',
    version: { target: await versionOf(target), ...ran.version },
    statements,
    skipped: ran.skipped,
    rollbackLeaves: ran.rollbackLeaves,
    notCopied: ran.notCopied,
    tables: [...facts.values()]
      .filter(({ table }) => touched.has(table))
      .sort((a, b) => (a.table < b.table ? -1 : 1)),
    ok: statements.every(({ error }) => error === undefined),
  }
}

interface Ran {
  readonly statements: readonly {
    readonly plan: StatementPlan
    readonly rehearsed: Rehearsed | undefined
    readonly changes: readonly CatalogDifference[]
  }[]
  readonly skipped: DryRun['skipped']
  readonly rollbackLeaves: readonly CatalogDifference[]
  readonly notCopied: Scratch['notCopied']
  readonly version: { readonly scratch?: string }
}

const versionOf = async (target: Target): Promise<string> =>
  (await target.query<{ server_version: string }>('show server_version')).rows[0]?.server_version ?? ''

/** Whether expand.sql has run in the target as a whole. */
async function isExpanded(target: Target, { definition, sql }: Migration): Promise<boolean> {
  const { rows } = await target.query<{ there: boolean }>(
    `select to_regclass('switchback.statements') is not null as there`,
  )
  if (rows[0]?.there !== true) return false
  const { statements } = await appliedStatements(target, definition.id, 'expand')
  return statements.size > 0 && statements.size === (await parseSql(sql.expand, 'expand.sql')).length
}

async function onCopy(scratch: Scratch, { sql }: Migration, expanded: boolean): Promise<Ran> {
  const statements: Ran['statements'][number][] = []
  const skipped: { file: PlannedFile; reason: string }[] = []
  // What could not be copied is missing on both sides.
  const before = await readCatalog(scratch.target)
  let now = before
  const tableOf = (index: string): string | undefined => {
    const found = now.find(({ kind, name }) => kind === 'index' && name === index.split('.').at(-1))
    return found?.relation
  }
  const run = async (file: PlannedFile, text: string, report = true): Promise<boolean> => {
    const parsed = await parseSql(text, `${file}.sql`)
    const made = file === 'rollback' ? await parseSql(sql.expand, 'expand.sql') : []
    const plans = await planFile(file, text, made, tableOf)
    for (const [index, statement] of parsed.entries()) {
      const plan = plans[index]
      if (plan === undefined) continue
      const rehearsed = await rehearse(scratch.target, statement, plan.locks)
      const then = now
      now = await readCatalog(scratch.target)
      if (report) statements.push({ plan, rehearsed, changes: compareCatalogs(then, now) })
      if (rehearsed.error !== undefined) return false
    }
    return true
  }

  let rollbackLeaves: readonly CatalogDifference[] = []
  let there = expanded
  if (expanded) skipped.push({ file: 'expand', reason: 'it has run in the target' })
  else there = await run('expand', sql.expand)
  if (sql.rollback === undefined) skipped.push({ file: 'rollback', reason: 'there is no rollback.sql' })
  else if (!there) skipped.push({ file: 'rollback', reason: 'expand.sql failed' })
  else if (expanded) skipped.push({ file: 'rollback', reason: 'expand.sql was not run here' })
  else {
    const undone = await run('rollback', sql.rollback)
    rollbackLeaves = undone ? compareCatalogs(before, now) : []
    there = undone && (await run('expand', sql.expand, false))
  }
  if (sql.contract === undefined) skipped.push({ file: 'contract', reason: 'there is no contract.sql' })
  else if (there) await run('contract', sql.contract)
  else skipped.push({ file: 'contract', reason: 'expand.sql is not in place here' })
  return {
    statements,
    skipped,
    rollbackLeaves,
    notCopied: scratch.notCopied,
    version: { scratch: await versionOf(scratch.target) },
  }
}

async function inTarget(target: Target, { sql }: Migration, limits: InTargetLimits): Promise<Ran> {
  const parsed = await parseSql(sql.expand, 'expand.sql')
  const plans = await planFile('expand', sql.expand)
  const results = await rehearseInTarget(target, parsed, limits)
  return {
    statements: plans.map((plan, index) => ({ plan, rehearsed: results[index], changes: [] })),
    skipped: [
      { file: 'rollback', reason: 'only expand.sql is run in the target' },
      { file: 'contract', reason: 'only expand.sql is run in the target' },
    ],
    rollbackLeaves: [],
    notCopied: [],
    version: {},
  }
}

function told(
  plan: StatementPlan,
  rehearsed: Rehearsed | undefined,
  changes: readonly CatalogDifference[],
  facts: ReadonlyMap<string, TableFacts>,
  holders: readonly Holder[],
): DryStatement {
  const seen = rehearsed?.seen === true
  const isNew = (table: string): boolean =>
    plan.locks.some((lock) => lock.on === table && lock.new) || !facts.has(table)
  const locks: readonly PlannedLock[] = seen
    ? strongest(rehearsed.locks).map(({ mode, on }) => ({ mode, on, blocks: blocks(mode), new: isNew(on) }))
    : plan.locks
  const rewrites = rehearsed?.rewrites ?? []
  const scans = (rehearsed?.scans ?? []).filter((table) => !isNew(table))
  const work = rewrites.some((table) => !isNew(table)) ? 'rewrite' : plan.work
  const worked = new Set([...rewrites, ...scans, ...locks.map(({ on }) => on)])
  return {
    ...plan,
    work: work === 'catalog' && scans.length > 0 ? 'scan' : work,
    locks,
    seen,
    blocking: locks.some((lock) => !lock.new && holdsUpTraffic(lock.mode)),
    rewrites,
    scans,
    changes,
    estimateMs: estimateMs(
      work === 'catalog' && scans.length > 0 ? 'scan' : work,
      [...worked].flatMap((table) => facts.get(table) ?? []),
    ),
    inTheWay: locks.flatMap((lock) => (lock.new ? [] : inTheWayOf(holders, lock))),
    ...(rehearsed?.error === undefined ? {} : { error: rehearsed.error }),
  }
}
