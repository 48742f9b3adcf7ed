import type { QueryResult, QueryResultRow } from 'pg'

/** A pool or a transaction, as the handlers of rides-api see it. */
export interface Queryable {
  query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>>
}
