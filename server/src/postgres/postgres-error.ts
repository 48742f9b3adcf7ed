export type PostgresErrorCode =
  | 'postgres-unavailable' // no binaries for this platform
  | 'postgres-data-folder' // the folder cannot be used
  | 'postgres-port-in-use'
  | 'postgres-start-failed'
  | 'postgres-stop-failed'

/** A fault of the bundled PostgreSQL; its message is complete enough to be shown to a person alone. */
export class PostgresError extends Error {
  override readonly name = 'PostgresError'
  readonly code: PostgresErrorCode
  /** Whether the same call may succeed later with nothing changed by a person. */
  readonly retryable: boolean

  constructor(
    code: PostgresErrorCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** The `code` of a Node system error (`ENOENT`, `EACCES`, …), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
