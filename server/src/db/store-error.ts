export type StoreErrorCode =
  | 'migration-invalid'
  | 'migration-changed'
  | 'migration-missing'
  | 'migration-out-of-order'
  | 'migration-failed'
  | 'store-newer'

/** The store cannot be brought to, or used at, the version of this server. Trying again does not help. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode
  readonly retryable = false

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  // Shut down, crashed, starting up, too many connections.
  '57P01',
  '57P02',
  '57P03',
  '53300',
])

// pg throws these without a code.
const UNREACHABLE_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error)/

/** Whether the database could not be reached, or broke off; what was asked may work a little later. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' && (UNREACHABLE.has(code) || code.startsWith('08'))) return true
  if (error instanceof AggregateError) return error.errors.some(isUnreachable)
  return UNREACHABLE_MESSAGES.test(error.message)
}
