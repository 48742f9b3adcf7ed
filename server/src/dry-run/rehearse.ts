import { setTimeout as delay } from 'node:timers/promises'
import { quoteTable } from '../db/db.ts'
import { prepareConcurrent } from '../ddl/concurrent-ddl.ts'
import type { TableLock } from '../lint/locks.ts'
import { modeOf, type SqlStatement } from '../sql-text/sql-statements.ts'
import { messageOf } from '../target/execution-error.ts'
import { type Connection, inTransaction, type Target } from '../target/target.ts'
import { locksOf, type Observed, observe, relationNames } from './observe.ts'

export interface Rehearsed extends Observed {
  /** False where PostgreSQL gave no time to look: the locks are then those of its manual. */
  readonly seen: boolean
  readonly error?: string
}

/** Runs a statement on a scratch copy as the executor would, and commits it. */
export async function rehearse(
  scratch: Target,
  statement: SqlStatement,
  expected: readonly TableLock[],
): Promise<Rehearsed> {
  const mode = modeOf(statement)
  try {
    if (mode.kind === 'transaction') {
      return await scratch.connection((connection) =>
        inTransaction(connection, 'begin', async () => ({
          ...(await observe(connection, statement.text)),
          seen: true,
        })),
      )
    }
    return await scratch.connection(async (connection) => {
      const prepared = await prepareConcurrent(connection, mode, statement.text)
      if (prepared === 'done already') return { locks: [], rewrites: [], scans: [], seen: true }
      const { locks, ms } = await whileHeldUp(scratch, connection, prepared.run, expected)
      return { locks: locks ?? expected, rewrites: [], scans: [], seen: locks !== undefined, ms }
    })
  } catch (error) {
    return { locks: expected, rewrites: [], scans: [], seen: false, error: messageOf(error) }
  }
}

/**
 * A statement outside of transactions is over before one can look at its locks. So somebody stands in its way:
 * a transaction that has written to its table, for which it has to wait with its locks in hand.
 */
async function whileHeldUp(
  scratch: Target,
  worker: Connection,
  text: string,
  expected: readonly TableLock[],
): Promise<{ readonly locks: readonly TableLock[] | undefined; readonly ms: number }> {
  return scratch.connection(async (holder) => {
    await holder.query('begin')
    for (const { on } of expected) {
      await holder.query('savepoint one')
      await holder
        .query(`lock table ${quoteTable(on)} in row exclusive mode`)
        .catch(() => holder.query('rollback to savepoint one'))
    }
    let began = performance.now()
    let ended = false
    const running = worker.query(text).finally(() => {
      ended = true
    })
    running.catch(() => undefined)
    let seen: readonly TableLock[] | undefined
    while (!ended && seen === undefined) {
      const { rows } = await scratch.query<{ held: boolean }>(
        'select $1::int = any(pg_blocking_pids($2)) as held',
        [holder.pid, worker.pid],
      )
      if (rows[0]?.held === true) seen = await locksOf(scratch, worker.pid, await relationNames(scratch))
      else await delay(10)
    }
    // What it waited for is not its own.
    if (!ended) began = performance.now()
    await holder.query('commit')
    await running
    return { locks: seen, ms: performance.now() - began }
  })
}

export interface InTargetLimits {
  readonly lockTimeoutMs: number
  /** All statements together; what takes longer is cancelled. */
  readonly budgetMs: number
}

/**
 * Runs statements in the target in one transaction, which is rolled back. Locks are held until then: hence
 * the limits, which are short.
 */
export async function rehearseInTarget(
  target: Target,
  statements: readonly SqlStatement[],
  limits: InTargetLimits,
): Promise<readonly (Rehearsed | undefined)[]> {
  const results: (Rehearsed | undefined)[] = []
  await target.connection(async (connection) => {
    const until = performance.now() + limits.budgetMs
    await connection.query('begin')
    try {
      await connection.query(`set local lock_timeout = ${limits.lockTimeoutMs}`)
      await connection.query(`set local idle_in_transaction_session_timeout = ${limits.budgetMs}`)
      for (const statement of statements) {
        if (modeOf(statement).kind !== 'transaction') {
          results.push(undefined)
          continue
        }
        const left = Math.max(1, Math.round(until - performance.now()))
        await connection.query(`set local statement_timeout = ${left}`)
        results.push({ ...(await observe(connection, statement.text)), seen: true })
      }
    } catch (error) {
      results.push({ locks: [], rewrites: [], scans: [], seen: false, error: messageOf(error) })
    } finally {
      await connection.query('rollback')
    }
  })
  return results
}
