import { differenceText } from '../catalog/compare-catalogs.ts'
import { leftByRollback, noteAfter, noteBefore } from '../catalog/ledger.ts'
import { readCatalog } from '../catalog/read-catalog.ts'
import { type Touched, touchedBy } from '../catalog/touched.ts'
import type { WorkOrder, WorkOutcome } from '../execution/execution-port.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import { ExecutionError } from '../target/execution-error.ts'
import { type Patience, persistently } from '../target/persistently.ts'
import { cancelledOf, type DdlRun, runSqlFile } from './ddl.ts'
import { appliedStatements, forgetFile, recordWhole, type SqlFile } from './ddl-records.ts'
import type { DdlDeps, DdlOptions } from './ddl-settings.ts'

export type SchemaDeps = DdlDeps & Patience

/** Runs a SQL file, and notes what it changes in the catalog. `ended` is called before that is noted. */
export async function runNoted(
  deps: SchemaDeps,
  order: WorkOrder,
  file: SqlFile,
  sql: string,
  options: DdlOptions & { readonly ended?: (touched: Touched) => Promise<void> } = {},
): Promise<DdlRun> {
  const { target } = deps
  const migration = order.definition.id
  // What expand touched and rollback.sql does not speak of is to be as before all the same.
  const undone = file === 'rollback' ? await parseSql(order.sql.expand, 'expand.sql') : []
  const touched = touchedBy([...(await parseSql(sql, `${file}.sql`)), ...undone])
  const read = () => persistently(deps, order.signal, () => readCatalog(target))
  const { statements } = await appliedStatements(target, migration, file)
  await noteBefore(target, { migration, file, begun: statements.size > 0 }, await read(), touched)
  const run = await runSqlFile(deps, order, file, sql, options)
  await options.ended?.(touched)
  await noteAfter(target, { migration, file }, await read(), touched)
  return run
}

/** Runs `expand.sql`. After a rollback it runs anew. */
export async function expand(deps: SchemaDeps, order: WorkOrder): Promise<WorkOutcome> {
  const { id } = order.definition
  const rolledBack = await appliedStatements(deps.target, id, 'rollback')
  // A finished rollback is history once the schema goes forward again.
  if (rolledBack.completedIn !== undefined) await forgetFile(deps.target, id, 'rollback')
  const run = await runNoted(deps, order, 'expand', order.sql.expand)
  return {
    divergences: 0,
    detail: { statements: run.applied, appliedBefore: run.appliedBefore, ...cancelledOf(run) },
  }
}

/** Runs `rollback.sql`, proves that the schema is as it was before expand, then forgets what expand did. */
export async function rollback(deps: SchemaDeps, order: WorkOrder): Promise<WorkOutcome> {
  const { target } = deps
  const migration = order.definition.id
  const before = await appliedStatements(target, migration, 'rollback')
  const undone = await appliedStatements(target, migration, 'expand')
  // Finished, and only the report of it was lost. Another epoch says the same where expand has not run since.
  if (before.completedIn !== undefined && undone.statements.size === 0) {
    return { divergences: 0, detail: { statements: 0 } }
  }
  if (before.completedIn !== undefined) await forgetFile(target, migration, 'rollback')
  if (order.sql.rollback === undefined) {
    throw new ExecutionError(
      'work-impossible',
      `${migration} has no rollback.sql: write one, then try again.`,
    )
  }
  const expandStatements = await parseSql(order.sql.expand, 'expand.sql')
  const missingIsDone = undone.statements.size < expandStatements.length
  let left: Awaited<ReturnType<typeof leftByRollback>>
  const run = await runNoted(deps, order, 'rollback', order.sql.rollback, {
    missingIsDone,
    ended: async (touched) => {
      const now = await persistently(deps, order.signal, () => readCatalog(target))
      left = await leftByRollback(target, migration, now, touched)
    },
  })
  await recordWhole(target, { migration, file: 'rollback', epoch: order.epoch }, 'expand')
  return {
    divergences: 0,
    detail: {
      statements: run.applied,
      appliedBefore: run.appliedBefore,
      ...cancelledOf(run),
      // Nothing to compare with where expand ran before catalogs were noted.
      ...(left === undefined ? {} : { verified: left.length === 0, left: left.map(differenceText) }),
    },
  }
}
