import { randomUUID } from 'node:crypto'
import { CommitUnknownError, SwitchbackError } from '../error.ts'
import type { HalfHandle, HalfPort } from './half-port.ts'
import {
  beginHalfText,
  beginText,
  commitWithIntentText,
  failureOf,
  guardText,
  type Isolation,
  ROLLBACK_TO_SAVEPOINT,
  SET_SAVEPOINT,
  sqlState,
} from './pg-text.ts'
import type { Guard, TransactionHandle } from './transaction-port.ts'

interface PgResult {
  readonly command?: string
  readonly rows: readonly unknown[]
}

/** What is needed of a client of node-postgres. */
export interface PgClient {
  query(text: string, values?: unknown[]): Promise<PgResult>
  release(error?: Error | boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** What is needed of a pool of node-postgres; `Query` keeps its overloads, so that rows stay typed. */
export interface PgPool<Query> {
  readonly query: Query
  connect(): Promise<PgClient>
}

export interface PgTransactionOptions {
  /** Default: what the database is set to. */
  readonly isolation?: Isolation
  /** How often a transaction is begun again after 40001 or 40P01. Default 3. */
  readonly retries?: number
}

/**
 * Transaction mode on a pool of node-postgres: both paths of a write run in one transaction, behind the
 * fence and under the lock of their key. Two of them, for two databases, make up `independent` mode.
 *
 * Handlers get an object with `query`: the client of the transaction for writes, the pool for reads. A
 * handler may run more than once (serialization failures, a passed epoch, a failure of the other path), so
 * effects outside of the database do not belong into it; and it must let errors of its statements through.
 *
 * @example
 * const profiles = client.migration('user-profiles', {
 *   key: (userId: string) => userId,
 *   transaction: pgTransaction(pool, { isolation: 'repeatable read' }),
 *   read: { old: (userId, tx) => tx.query('select bio from users where id = $1', [userId]) },
 * })
 */
export function pgTransaction<Query>(
  pool: PgPool<Query>,
  options: PgTransactionOptions = {},
): HalfPort<{ readonly query: Query }> {
  type Tx = { readonly query: Query }
  // Only so that `query` is called with what it takes; the overloads of the driver say no more than this.
  const ask = pool as unknown as Pick<PgClient, 'query'>

  const open = async (begin: string): Promise<Opened<Tx>> => {
    const pooled = await pool.connect()
    const connection = watch(pooled)
    try {
      const answer = await pooled.query(begin)
      // The client of a pool has the same `query` as the pool.
      return { client: pooled as unknown as PgClient & Tx, connection, answer }
    } catch (error) {
      await connection.abandon(error)
      throw error
    }
  }

  return {
    reader: pool,
    retries: options.retries ?? 3,
    isolation: options.isolation,
    begin: async (guard, savepoint) => handleOf(await open(beginText(guard, savepoint, options.isolation))),
    beginHalf: async (guard, other) => halfOf(await open(beginHalfText(guard, other))),
    clearIntent: async (token) => {
      await ask.query('SELECT switchback.clear_intent($1)', [token])
    },
    snapshot: async () => handleOf(await open('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')),
    repairOpen: (migration, key, path) => repairOpen(ask, migration, key, path),
    failureOf,
  }
}

interface Watched {
  readonly broken: () => boolean
  readonly release: (error?: unknown) => void
  readonly abandon: (error: unknown) => Promise<void>
}

/** Listens for the loss of the connection: without a listener it would take the process down. */
function watch(client: PgClient): Watched {
  let broken: Error | undefined
  let released = false
  const onError = (error: Error): void => {
    broken = error
  }
  client.on('error', onError)
  const release = (error?: unknown): void => {
    if (released) return
    released = true
    client.off('error', onError)
    const fault = broken ?? error
    // A released client without an error goes back to the pool; a broken one must not.
    if (fault === undefined) client.release()
    else client.release(fault instanceof Error ? fault : true)
  }
  const abandon = async (error: unknown): Promise<void> => {
    if (released) return
    if (broken !== undefined || failureOf(error) === 'connection') return release(error)
    try {
      await client.query('ROLLBACK')
      release()
    } catch (failed) {
      release(failed)
    }
  }
  return { broken: () => broken !== undefined, release, abandon }
}

/** A connection in a transaction, and what was answered to the message that began it. */
interface Opened<Tx> {
  readonly client: PgClient & Tx
  readonly connection: Watched
  readonly answer: PgResult | readonly PgResult[]
}

/** Of the last statement, where a message held several. */
const lastOf = (answer: PgResult | readonly PgResult[]): PgResult | undefined =>
  'rows' in answer ? answer : answer.at(-1)

async function commit({ client, connection }: Opened<unknown>, text: string): Promise<void> {
  let result: PgResult | undefined
  try {
    result = lastOf(await client.query(text))
  } catch (error) {
    // An SQLSTATE is the server's word that it did not commit; anything else leaves it open.
    const known = sqlState(error) !== undefined && failureOf(error) !== 'connection' && !connection.broken()
    if (known) {
      await connection.abandon(error)
      throw error
    }
    connection.release(error)
    throw new CommitUnknownError(error)
  }
  connection.release()
  // COMMIT of a failed transaction is answered with ROLLBACK, and no error.
  if (result?.command !== 'COMMIT') {
    throw new SwitchbackError(
      'transaction-aborted',
      'nothing was written: a statement failed, and a handler did not let its error through',
      { retryable: false },
    )
  }
}

function halfOf<Tx>(opened: Opened<Tx>): HalfHandle<Tx> {
  return {
    ...handleOf(opened),
    otherBehind: isOpen(lastOf(opened.answer)),
    commitWithIntent: async (intent) => {
      const token = randomUUID()
      await commit(opened, commitWithIntentText(token, intent))
      return token
    },
  }
}

function handleOf<Tx>(opened: Opened<Tx>): TransactionHandle<Tx> {
  const { client, connection } = opened
  const run = async (text: string): Promise<void> => {
    await client.query(text)
  }
  return {
    tx: client,
    enter: async (guard: Guard, savepoint: boolean) => {
      const text = [guardText(guard), savepoint ? SET_SAVEPOINT : undefined].filter(
        (part) => part !== undefined,
      )
      if (text.length > 0) await run(text.join('; '))
    },
    savepoint: () => run(SET_SAVEPOINT),
    rollbackToSavepoint: () => run(ROLLBACK_TO_SAVEPOINT),
    queueRepair: async ({ migration, key, path, epoch, reason }) => {
      await client.query('SELECT switchback.queue_repair($1, $2, $3, $4, $5)', [
        migration,
        key,
        path,
        epoch,
        reason.replaceAll('\0', ''),
      ])
    },
    repairOpen: (migration, key, path) => repairOpen(client, migration, key, path),
    commit: () => commit(opened, 'COMMIT'),
    rollback: () => connection.abandon(undefined),
  }
}

async function repairOpen(
  client: Pick<PgClient, 'query'>,
  migration: string,
  key: string,
  path: string,
): Promise<boolean> {
  return isOpen(
    await client.query('SELECT switchback.repair_open($1, $2, $3) AS open', [migration, key, path]),
  )
}

function isOpen(answer: PgResult | undefined): boolean {
  const row = answer?.rows[0]
  return typeof row === 'object' && row !== null && 'open' in row && row.open === true
}
