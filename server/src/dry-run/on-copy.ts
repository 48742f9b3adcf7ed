import type { MigrationDefinition, MigrationSql } from '@switchback/migrations-registry'
import { compareCatalogs } from '../catalog/compare-catalogs.ts'
import { readCatalog } from '../catalog/read-catalog.ts'
import { touchedBy } from '../catalog/touched.ts'
import { keyOfNames } from '../lint/ast.ts'
import { type PlannedFile, planFile } from '../plan/statement-plan.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import type { Target } from '../target/target.ts'
import { slowdownOf } from './calibrate.ts'
import type { Ran, RanStatement, Sizes } from './ran.ts'
import { referencesIn } from './references.ts'
import { rehearse } from './rehearse.ts'
import { type RehearsedCopy, rehearseCopy } from './rehearse-copy.ts'
import { copySample, SAMPLE_LIMITS } from './sample.ts'
import type { Scratch } from './scratch.ts'
import { sampleTraffic, versionOf } from './target-facts.ts'

interface Migration {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
}

export interface OnCopyDeps {
  readonly target: Target
  readonly scratch: Scratch
  /** Of each table that is touched; 0: none. */
  readonly sampleRows: number
  readonly stage: (stage: string) => void
}

/** Runs the files of a migration on a scratch copy: there, back, and there again. */
export async function onCopy(
  deps: OnCopyDeps,
  { definition, sql }: Migration,
  expanded: boolean,
): Promise<Ran> {
  const { target, scratch, stage } = deps
  const sampled = deps.sampleRows === 0 ? undefined : await sampleFor(deps, { definition, sql })
  const slowdown = sampled === undefined ? 1 : await slowdownOf(target, scratch.target, sampled.touched)
  const statements: RanStatement[] = []
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
      stage(`running ${file}.sql, statement ${plan.position}`)
      const sizes = sampled === undefined ? {} : { before: await sizesOn(scratch.target), slowdown }
      const rehearsed = await rehearse(scratch.target, statement, plan.locks)
      const then = now
      now = await readCatalog(scratch.target)
      if (report) statements.push({ plan, rehearsed, changes: compareCatalogs(then, now), ...sizes })
      if (rehearsed.error !== undefined) return false
    }
    return true
  }

  let rollbackLeaves: Ran['rollbackLeaves'] = []
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
  let copy: RehearsedCopy | undefined
  if (there && sampled !== undefined && definition.copy !== undefined) {
    stage('copying the sampled rows from old to new')
    copy = await rehearseCopy(scratch.target, definition, sql)
  }
  if (sql.contract === undefined) skipped.push({ file: 'contract', reason: 'there is no contract.sql' })
  else if (there) await run('contract', sql.contract)
  else skipped.push({ file: 'contract', reason: 'expand.sql is not in place here' })
  return {
    statements,
    skipped,
    rollbackLeaves,
    notCopied: scratch.notCopied,
    ...(sampled === undefined ? {} : { sample: sampled.sample }),
    ...(copy === undefined ? {} : { copy }),
    version: { scratch: await versionOf(scratch.target) },
  }
}

/** Fills the tables that the files touch with rows of the target. */
async function sampleFor(
  { target, scratch, stage, sampleRows }: OnCopyDeps,
  { definition: { copy }, sql }: Migration,
) {
  const files = [sql.expand, sql.rollback, sql.contract]
  const parsed = await Promise.all(files.map((text) => (text === undefined ? [] : parseSql(text, 'sql'))))
  const statements = parsed.flat()
  const named = [...touchedBy(statements).names, ...(copy === undefined ? [] : [copy.from, copy.to])]
  const touched = new Set(named.map((name) => keyOfNames(name.split('.'))))
  const references = statements.flatMap(({ node }) => referencesIn(node))
  const limits = { ...SAMPLE_LIMITS, rows: sampleRows }
  stage(`copying up to ${sampleRows} rows of each table that is touched`)
  return { touched, sample: await copySample(target, scratch.target, touched, references, limits) }
}

async function sizesOn(scratch: Target): Promise<Sizes> {
  const { tables } = await sampleTraffic(scratch)
  return new Map([...tables].map(([table, { bytes, rows }]) => [table, { bytes, rows }]))
}
