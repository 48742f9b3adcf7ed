/** An error as a client of PostgreSQL sees it: `code` is the SQLSTATE. */
export class DbError extends Error {
  override readonly name = 'DbError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export const serializationFailure = (why: string): DbError =>
  new DbError('40001', `could not serialize access due to ${why}`)

export const connectionLost = (): DbError => new DbError('08006', 'Connection terminated unexpectedly')
