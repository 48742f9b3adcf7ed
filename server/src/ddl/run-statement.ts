import type { WorkOrder } from '../execution/execution-port.ts'
import {
  ExecutionError,
  isConnectionLost,
  isContention,
  messageOf,
  sqlStateOf,
  throwIfStopped,
} from '../target/execution-error.ts'
import { describeBackend, indexProgress, watched } from '../target/in-the-way.ts'
import { backoff, pause } from '../target/pause.ts'
import { type Connection, inTransaction } from '../target/target.ts'
import { endOldOnes, longTransactions, lookFirst } from './clear-way.ts'
import { dropInvalidIndex, prepareConcurrent } from './concurrent-ddl.ts'
import { appliedStatements, recordStatement } from './ddl-records.ts'
import type { DdlDeps, DdlSettings, Step } from './ddl-settings.ts'

const UNDEFINED = new Set(['42P01', '42703', '42704', '42883'])
/** Transactions older than this are named before a statement that waits for all of them. */
const LONG_MS = 5_000

/** Tries one statement until it went through or the deadline has passed; returns whom it ended on the way. */
export async function persist(deps: DdlDeps, order: WorkOrder, step: Step): Promise<readonly string[]> {
  const { clock, settings, target } = deps
  const deadline = clock() + settings.deadlineMs
  const cancelled: string[] = []
  let inTheWay: string | undefined
  let tries = 0
  const tell = (throttledBy: string | undefined) => {
    inTheWay = throttledBy ?? inTheWay
    if (throttledBy !== undefined) step.report({ throttledBy })
  }
  const tellIndex = async (pid: number) => {
    const index = await indexProgress(target, pid)
    if (index !== undefined) step.report({ index })
  }
  const where = `statement ${step.position + 1} of ${step.file}.sql ("${step.statement.text.slice(0, 120)}")`

  /** Whether the way is clear enough to try; names who is in it, and ends whom it may. */
  async function isClear(): Promise<boolean> {
    const way = await lookFirst(target, step.statement.node, settings.lockTimeoutMs)
    cancelled.push(...(await endOldOnes(target, way.inTheWay, settings.cancelBlockersMs)))
    const long = step.mode.kind === 'transaction' ? [] : await longTransactions(target, LONG_MS)
    const names = [...way.tooOld.map(describeBackend), ...long]
    if (names.length > 0) tell(names.slice(0, 5).join('; '))
    return way.tooOld.length === 0
  }

  const giveUp = (reason: string, cause?: unknown): ExecutionError =>
    new ExecutionError(
      'lock-not-obtained',
      `${where} was given up after ${tries} tries: ${reason}${inTheWay === undefined ? '' : `; in the way: ${inTheWay}`}`,
      { retryable: true, ...(cause === undefined ? {} : { cause }) },
    )

  for (let round = 1; ; round++) {
    throwIfStopped(order.signal)
    let failure: unknown
    try {
      if (await isClear()) {
        tries += 1
        await target.cancellable(order.signal, (connection) =>
          watched(
            target,
            connection.pid,
            tell,
            () => runOne(connection, order, step, settings),
            () => tellIndex(connection.pid),
          ),
        )
        return cancelled
      }
    } catch (error) {
      throwIfStopped(order.signal)
      failure = error
      if (!isContention(error) && !isConnectionLost(error)) {
        await target.connection((on) => dropInvalidIndex(on, step.mode)).catch(() => undefined)
        if (error instanceof ExecutionError) throw error
        throw new ExecutionError('statement-failed', `${where}: ${messageOf(error)}`, { cause: error })
      }
    }
    const wait = backoff(round, deps.random, 100, 10_000)
    if (clock() + wait > deadline) {
      throw giveUp(failure === undefined ? 'its locks were out of reach' : messageOf(failure), failure)
    }
    if (failure !== undefined) step.report({ throttledBy: inTheWay ?? messageOf(failure) })
    await pause(wait, order.signal)
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
