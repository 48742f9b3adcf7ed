import { createHash } from 'node:crypto'
import pg from 'pg'
import { throwIfStopped } from './execution-error.ts'

export interface Sql {
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    params?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>
}

export interface Connection extends Sql {
  readonly pid: number
  readonly client: pg.PoolClient
  /** As `query`; the statement is parsed once for each connection. */
  prepared: Sql['query']
  /** Aborted when the connection breaks. */
  readonly broken: AbortSignal
}

/** The target database, as the execution uses it. */
export interface Target extends Sql {
  /**
   * The same over connections that no work takes: for what is short and somebody waits for, the gate above
   * all. A few migrations that copy at once hold every other connection, and a target that is merely busy
   * must not look as if it could not be reached.
   */
  readonly aside: Pick<Target, 'query' | 'connection'>
  /** Lends a connection; one that broke or was cancelled is thrown away afterwards. */
  connection<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  /** As `connection`; a statement that runs while `signal` is aborted is cancelled in the server. */
  cancellable<T>(signal: AbortSignal, work: (connection: Connection) => Promise<T>): Promise<T>
  end(): Promise<void>
}

export interface TargetOptions {
  readonly url: string
  readonly name: string
  readonly max?: number
  readonly onIdleError: (error: Error) => void
}

// Counters fit into a double; keys never pass here as numbers, they are cast to text in SQL.
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === 20 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format),
} as pg.CustomTypesConfig

// Keys and archived values travel as text: it must not depend on settings of a role or database. And what the
// engine copies from one table to the other is not carried back by their triggers.
const SESSION =
  '-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c extra_float_digits=1 -c bytea_output=hex -c client_encoding=UTF8 -c jit=off -c switchback.engine=on'

const RESET =
  'reset lock_timeout; reset statement_timeout; reset default_transaction_isolation; reset synchronous_commit; reset enable_nestloop; reset enable_seqscan; reset work_mem'

// A role named like our schema would find it before `public` through "$user", and put its tables there.
const OUT_OF_THE_WAY = `
  select set_config('search_path', regexp_replace(current_setting('search_path'), '"\\$user"\\s*,?\\s*', ''), false)
  where current_user = 'switchback'`

const ASIDE = 3

export function createTarget(options: TargetOptions): Target {
  const work = lending(options, options.max ?? 12)
  const aside = lending(options, ASIDE)
  return {
    query: work.query,
    connection: work.connection,
    aside: { query: aside.query, connection: aside.connection },
    cancellable: (signal, task) => {
      throwIfStopped(signal)
      return work.connection(async (lent) => {
        const cancel = () => {
          // Aside: where work has taken every connection, it is to be stopped all the same.
          aside.query('select pg_cancel_backend($1)', [lent.pid]).catch(options.onIdleError)
        }
        signal.addEventListener('abort', cancel, { once: true })
        try {
          return await task(lent)
        } catch (error) {
          throwIfStopped(signal)
          throw error
        } finally {
          signal.removeEventListener('abort', cancel)
        }
      })
    },
    end: async () => {
      await Promise.all([work.end(), aside.end()])
    },
  }
}

/** A pool of connections, opened as they are needed. */
function lending(options: TargetOptions, max: number): Pick<Target, 'query' | 'connection' | 'end'> {
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.name,
    max,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    allowExitOnIdle: true,
    options: SESSION,
    types,
    // Awaited by the pool before the connection is lent.
    onConnect: (client) => client.query(OUT_OF_THE_WAY).then(() => undefined),
  })
  pool.on('error', options.onIdleError)
  const query: Sql['query'] = (text, params) => pool.query(text, params as unknown[] | undefined)

  async function connection<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const client = await pool.connect()
    const broken = new AbortController()
    const onError = (error: Error) => broken.abort(error)
    const onEnd = () => broken.abort(new Error('Connection terminated'))
    client.on('error', onError)
    client.on('end', onEnd)
    let failed: Error | undefined
    try {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
      const result = await work({
        pid: rows[0]?.pid ?? 0,
        client,
        broken: broken.signal,
        query: (text, params) => client.query(text, params as unknown[] | undefined),
        prepared: (text, params) => {
          const name = createHash('sha256').update(text).digest('hex').slice(0, 40)
          return client.query({ name, text, values: params as unknown[] })
        },
      })
      // What `set` changed was meant for this work alone.
      if (!broken.signal.aborted) await client.query(RESET)
      return result
    } catch (error) {
      failed = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      client.off('error', onError)
      client.off('end', onEnd)
      // After a failure the session may be inside a transaction or hold locks: it is not used again.
      client.release(failed ?? broken.signal.aborted)
    }
  }

  return { query, connection, end: () => pool.end() }
}

/** Runs `work` in a transaction on one connection. */
export async function inTransaction<T>(on: Sql, begin: string, work: () => Promise<T>): Promise<T> {
  await on.query(begin)
  try {
    const result = await work()
    await on.query('commit')
    return result
  } catch (error) {
    // Where this fails too, the connection is gone and the transaction with it.
    await on.query('rollback').catch(() => undefined)
    throw error
  }
}
