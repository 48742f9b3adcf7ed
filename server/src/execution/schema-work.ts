import { cancelledOf, runSqlFile } from './ddl.ts'
import { appliedStatements, forgetFile, recordWhole } from './ddl-records.ts'
import type { DdlDeps } from './ddl-settings.ts'
import { ExecutionError } from './execution-error.ts'
import type { WorkOrder, WorkOutcome } from './execution-port.ts'
import { parseSql } from './sql-statements.ts'

/** Runs `expand.sql`. After a rollback it runs anew. */
export async function expand(deps: DdlDeps, order: WorkOrder): Promise<WorkOutcome> {
  const { id } = order.definition
  const rolledBack = await appliedStatements(deps.target, id, 'rollback')
  // A finished rollback is history once the schema goes forward again.
  if (rolledBack.completedIn !== undefined) await forgetFile(deps.target, id, 'rollback')
  const run = await runSqlFile(deps, order, 'expand', order.sql.expand)
  return {
    divergences: 0,
    detail: { statements: run.applied, appliedBefore: run.appliedBefore, ...cancelledOf(run) },
  }
}

/** Runs `rollback.sql`, then forgets what expand did. */
export async function rollback(deps: DdlDeps, order: WorkOrder): Promise<WorkOutcome> {
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
  const run = await runSqlFile(deps, order, 'rollback', order.sql.rollback, { missingIsDone })
  await recordWhole(target, { migration, file: 'rollback', epoch: order.epoch }, 'expand')
  return {
    divergences: 0,
    detail: { statements: run.applied, appliedBefore: run.appliedBefore, ...cancelledOf(run) },
  }
}
