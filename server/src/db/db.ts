import pg from 'pg'

/** What a query needs; satisfied by a pool, a client and a transaction alike. */
export interface Queryable {
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    params?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>
}

/** A database, as the features see it. */
export interface Db extends Queryable {
  /** Runs `work` in a transaction: committed when it resolves, rolled back when it throws. */
  tx<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result>
  end(): Promise<void>
}

export interface DbOptions {
  readonly url: string
  /** Shown in pg_stat_activity. */
  readonly name: string
  readonly max?: number
  /** Schema that unqualified names mean. */
  readonly schema?: string
  /** Called for errors of idle connections, which belong to no query. */
  readonly onIdleError?: (error: Error) => void
}

// bigint columns here are counters far below 2^53; numbers are what the domain works with.
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === 20 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format),
} as pg.CustomTypesConfig

export function createDb(options: DbOptions): Db {
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.name,
    max: options.max ?? 10,
    connectionTimeoutMillis: 5_000,
    types,
    ...(options.schema === undefined ? {} : { options: `-c search_path=${options.schema},public` }),
  })
  pool.on('error', (error) => options.onIdleError?.(error))
  const on = (queryable: pg.Pool | pg.PoolClient): Queryable => ({
    query: (text, params) => queryable.query(text, params as unknown[] | undefined),
  })
  return {
    ...on(pool),
    tx: async (work) => {
      const client = await pool.connect()
      let broken: Error | undefined
      // A connection that breaks between two queries must not take the process down.
      const onError = (error: Error) => {
        broken = error
      }
      client.on('error', onError)
      try {
        await client.query('begin')
        const result = await work(on(client))
        await client.query('commit')
        return result
      } catch (error) {
        await client.query('rollback').catch((failed: Error) => {
          broken = failed
        })
        throw error
      } finally {
        client.off('error', onError)
        client.release(broken)
      }
    },
    end: () => pool.end(),
  }
}

/** Quotes an identifier for use in SQL text. */
export const quoteIdent = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Quotes a table name that may carry its schema. */
export const quoteTable = (name: string): string => name.split('.').map(quoteIdent).join('.')

/** Quotes a text where no parameter can stand: the planner leaves out partitions by what it is told. */
export const quoteText = (text: string): string =>
  `${text.includes('\\') ? ' E' : ''}'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
