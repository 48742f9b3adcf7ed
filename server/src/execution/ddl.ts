import { prepareConcurrent } from './concurrent-ddl.ts'
import { appliedStatements, recordStatement, type SqlFile } from './ddl-records.ts'
import {
  ExecutionError,
  isConnectionLost,
  isContention,
  messageOf,
  sqlStateOf,
  throwIfStopped,
} from './execution-error.ts'
import type { WorkOrder } from './execution-port.ts'
import { watched } from './in-the-way.ts'
import { backoff, pause } from './pause.ts'
import { modeOf, parseSql, type SqlStatement, type StatementMode } from './sql-statements.ts'
import { type Connection, inTransaction, type Target } from './target.ts'

export interface DdlSettings {
  /** How long a statement may wait for its locks, and with that hold up everybody behind it. */
  readonly lockTimeoutMs: number
  /** Limit of statements that are expected to touch the catalog only. */
  readonly statementTimeoutMs: number
  /** How long locks are tried for, statement by statement. */
  readonly deadlineMs: number
}

export interface DdlDeps {
  readonly target: Target
  readonly clock: () => number
  readonly random: () => number
  readonly settings: DdlSettings
}

export interface DdlRun {
  readonly applied: number
  readonly appliedBefore: number
}

export interface DdlOptions {
  /** Whether what a statement undoes may be missing: rolling back an expand that stopped half-way. */
  readonly missingIsDone?: boolean
  /** Asked before each statement that is still to run. */
  readonly before?: (statement: SqlStatement) => Promise<void>
}

const UNDEFINED = new Set(['42P01', '42703', '42704', '42883'])

/** Runs a SQL file statement by statement; a crash at any point resumes with the first one not recorded. */
export async function runSqlFile(
  deps: DdlDeps,
  order: WorkOrder,
  file: SqlFile,
  sql: string,
  options: DdlOptions = {},
): Promise<DdlRun> {
  const migration = order.definition.id
  const statements = await parseSql(sql, `${file}.sql`)
  // All of them first: a file that cannot be run to its end is not begun.
  const modes = statements.map(modeOf)
  const { statements: applied } = await appliedStatements(deps.target, migration, file)
  for (const [position, checksum] of applied) {
    if (statements[position]?.checksum !== checksum) throw changed(file, position)
  }
  let count = 0
  for (const [position, statement] of statements.entries()) {
    if (applied.has(position)) continue
    throwIfStopped(order.signal)
    await options.before?.(statement)
    const report = (throttledBy?: string) =>
      order.report({
        stage: `${file}.sql`,
        done: position,
        total: statements.length,
        detail: { statement: statement.text.slice(0, 300) },
        ...(throttledBy === undefined ? {} : { throttledBy }),
      })
    report()
    const mode = modes[position] as StatementMode
    await persist(deps, order, { file, position, statement, mode, options, report })
    count += 1
  }
  order.report({ stage: `${file}.sql`, done: statements.length, total: statements.length })
  return { applied: count, appliedBefore: applied.size }
}

const changed = (file: SqlFile, position: number): ExecutionError =>
  new ExecutionError(
    'statement-changed',
    `statement ${position + 1} of ${file}.sql was applied already and has been changed since: ` +
      'put it back as it was, or roll back first.',
  )

interface Step {
  readonly file: SqlFile
  readonly position: number
  readonly statement: SqlStatement
  readonly mode: StatementMode
  readonly options: DdlOptions
  readonly report: (throttledBy?: string) => void
}

/** Tries one statement until it went through or the deadline has passed. */
async function persist(deps: DdlDeps, order: WorkOrder, step: Step): Promise<void> {
  const { clock, settings } = deps
  const deadline = clock() + settings.deadlineMs
  let inTheWay: string | undefined
  const tell = (throttledBy: string | undefined) => {
    inTheWay = throttledBy ?? inTheWay
    if (throttledBy !== undefined) step.report(throttledBy)
  }
  for (let attempt = 1; ; attempt++) {
    throwIfStopped(order.signal)
    try {
      await deps.target.cancellable(order.signal, (connection) =>
        watched(deps.target, connection.pid, tell, () => runOne(connection, order, step, settings)),
      )
      return
    } catch (error) {
      throwIfStopped(order.signal)
      const where = `statement ${step.position + 1} of ${step.file}.sql ("${step.statement.text.slice(0, 120)}")`
      if (!isContention(error) && !isConnectionLost(error)) {
        if (error instanceof ExecutionError) throw error
        throw new ExecutionError('statement-failed', `${where}: ${messageOf(error)}`, { cause: error })
      }
      const wait = backoff(attempt, deps.random, 100, 10_000)
      if (clock() + wait > deadline) {
        const who = inTheWay === undefined ? '' : `; in the way: ${inTheWay}`
        throw new ExecutionError(
          'lock-not-obtained',
          `${where} was given up after ${attempt} tries: ${messageOf(error)}${who}`,
          { cause: error, retryable: true },
        )
      }
      step.report(inTheWay ?? messageOf(error))
      await pause(wait, order.signal)
    }
  }
}

async function runOne(
  connection: Connection,
  order: WorkOrder,
  step: Step,
  settings: DdlSettings,
): Promise<void> {
  const { file, position, statement, mode } = step
  const of = { migration: order.definition.id, file, epoch: order.epoch }
  // The commit of an earlier try may have succeeded while its answer was lost.
  if ((await appliedStatements(connection, of.migration, file)).statements.has(position)) return
  const record = () => recordStatement(connection, of, position, statement.checksum)
  if (mode.kind === 'transaction') {
    try {
      await inTransaction(connection, 'begin', async () => {
        await connection.query(`set local lock_timeout = ${settings.lockTimeoutMs}`)
        await connection.query(`set local statement_timeout = ${mode.long ? 0 : settings.statementTimeoutMs}`)
        await connection.query(statement.text)
        await connection.query('set local statement_timeout = 0')
        await record()
      })
    } catch (error) {
      if (!step.options.missingIsDone || !UNDEFINED.has(sqlStateOf(error) ?? '')) throw error
      await record()
    }
    return
  }
  // The waits of CONCURRENTLY are for transactions to end and hold nobody up: no lock timeout there.
  await connection.query(`set lock_timeout = ${mode.kind === 'alone' ? settings.lockTimeoutMs : 0}`)
  await connection.query('set statement_timeout = 0')
  const prepared = await prepareConcurrent(connection, mode, statement.text)
  if (prepared !== 'done already') await connection.query(prepared.run)
  await record()
}
