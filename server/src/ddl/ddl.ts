import type { WorkOrder } from '../execution/execution-port.ts'
import { alone } from '../fence/executor-lock.ts'
import { holdsUpTraffic } from '../lint/locks.ts'
import { modeOf, parseSql, type SqlStatement, type StatementMode } from '../sql-text/sql-statements.ts'
import { ExecutionError, throwIfStopped } from '../target/execution-error.ts'
import { pause } from '../target/pause.ts'
import { locksAskedFor } from './clear-way.ts'
import { appliedStatements, type SqlFile } from './ddl-records.ts'
import type { DdlDeps, DdlOptions, StatementReport } from './ddl-settings.ts'
import { replicasSettled } from './replicas.ts'
import { persist } from './run-statement.ts'

export interface DdlRun {
  readonly applied: number
  readonly appliedBefore: number
  /** Sessions that were ended because they stood in the way, each described. */
  readonly cancelled: readonly string[]
}

const NOT_NOW_MS = 1_000

/** Runs a SQL file statement by statement; a crash at any point resumes with the first one not recorded. */
export async function runSqlFile(
  deps: DdlDeps,
  order: WorkOrder,
  file: SqlFile,
  sql: string,
  options: DdlOptions = {},
): Promise<DdlRun> {
  const statements = await parseSql(sql, `${file}.sql`)
  // All of them first: a file that cannot be run to its end is not begun.
  const modes = statements.map(modeOf)
  const { statements: applied } = await appliedStatements(deps.target, order.definition.id, file)
  for (const [position, checksum] of applied) {
    if (statements[position]?.checksum !== checksum) throw changed(file, position)
  }
  const left = statements.flatMap((statement, position) =>
    applied.has(position) ? [] : [{ statement, position, mode: modes[position] as StatementMode }],
  )
  const tell = (done: number, more: object) =>
    order.report({ stage: `${file}.sql`, done, total: statements.length, ...more })
  const cancelled: string[] = []
  if (left.length > 0) {
    const waiting = () => tell(applied.size, { throttledBy: 'schema work of another migration' })
    await alone(deps.target, order.signal, waiting, async (signal) => {
      for (const step of left) {
        throwIfStopped(signal)
        const report = reporter(tell, step)
        report({})
        await replicasSettled(deps.target, deps.settings.maxReplicaLagMs, signal, (throttledBy) =>
          report({ throttledBy }),
        )
        await inItsTime(deps, { ...order, signal }, step.statement, report)
        cancelled.push(...(await persist(deps, { ...order, signal }, { ...step, file, options, report })))
      }
    })
  }
  tell(statements.length, {})
  return { applied: left.length, appliedBefore: applied.size, cancelled }
}

/** For the result of work: who was ended, where somebody was. */
export const cancelledOf = ({ cancelled }: DdlRun): { readonly cancelled?: readonly string[] } =>
  cancelled.length === 0 ? {} : { cancelled }

const reporter =
  (
    tell: (done: number, more: object) => void,
    { statement, position }: { readonly statement: SqlStatement; readonly position: number },
  ): StatementReport =>
  ({ throttledBy, index }) =>
    tell(position, {
      detail: { statement: statement.text.slice(0, 300), ...(index === undefined ? {} : { index }) },
      ...(throttledBy === undefined ? {} : { throttledBy }),
    })

/** Waits for the time in which a statement that holds up traffic may begin. */
async function inItsTime(
  { target }: DdlDeps,
  { notNow, signal }: WorkOrder,
  { node }: SqlStatement,
  report: StatementReport,
): Promise<void> {
  if (notNow === undefined) return
  const locks = await locksAskedFor(target, node)
  if (!locks.some(({ mode }) => holdsUpTraffic(mode))) return
  for (;;) {
    const reason = await notNow()
    if (reason === undefined) return
    report({ throttledBy: reason })
    await pause(NOT_NOW_MS, signal)
  }
}

const changed = (file: SqlFile, position: number): ExecutionError =>
  new ExecutionError(
    'statement-changed',
    `statement ${position + 1} of ${file}.sql was applied already and has been changed since: ` +
      'put it back as it was, or roll back first.',
  )
