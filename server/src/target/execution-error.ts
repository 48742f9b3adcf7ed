export type ExecutionErrorCode =
  | 'work-stopped' // called off, or the server stops; the work resumes where it was
  | 'work-impossible' // the definition asks for what cannot be done; a person has to change it
  | 'too-many-failed-rows' // more than the set share: the mapping is at fault, not the rows
  | 'statement-changed' // an applied statement of a SQL file is another one now
  | 'statement-failed'
  | 'lock-not-obtained' // locks stayed out of reach up to the deadline
  | 'archive-blocked' // something in the catalog depends on what is to be dropped
  | 'archive-failed'
  | 'restore-failed'
  | 'target-unavailable'
  | 'step-failed' // the code of a custom step has thrown

/** A fault of database work; its message is complete enough to be shown to a person alone. */
export class ExecutionError extends Error {
  override readonly name: string = 'ExecutionError'
  readonly code: ExecutionErrorCode
  /** Whether the same work may succeed later with nothing changed by a person. */
  readonly retryable: boolean

  constructor(
    code: ExecutionErrorCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** Thrown at the next safe point after the order's signal was aborted. */
export class WorkStopped extends ExecutionError {
  override readonly name = 'AbortError'

  constructor(cause?: unknown) {
    super('work-stopped', 'the work was called off; what is done so far is kept', { cause, retryable: true })
  }
}

export function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw new WorkStopped(signal.reason)
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** SQLSTATE of a PostgreSQL error, or the code of a system error; undefined for anything else. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** What the code of a custom step has thrown. Where it is not to be tried again, the rows are at fault. */
export class StepFailed extends ExecutionError {
  constructor(message: string, retryable: boolean, cause?: unknown) {
    super('step-failed', message, { retryable, cause })
  }
}

export const NETWORK = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

/** Whether the connection is gone or cannot be had: a new one is needed, and the outcome may be unknown. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlStateOf(error)
  if (state !== undefined) {
    return state.startsWith('08') || state.startsWith('57P') || state === '53300' || NETWORK.has(state)
  }
  // What `pg` itself throws carries no code.
  return /Connection terminated|connection timeout|timeout exceeded when trying to connect|not queryable/i.test(
    messageOf(error),
  )
}

/** Somebody was in the way: the same statement may succeed at once or a little later. */
export function isContention(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === '40001' || state === '40P01' || state === '55P03'
}

/** Lack of room or memory, a cancelled statement: worth another try, within bounds. */
export function isTransient(error: unknown): boolean {
  const state = sqlStateOf(error) ?? ''
  if (error instanceof StepFailed) return error.retryable
  return isConnectionLost(error) || isContention(error) || state.startsWith('53') || state === '57014'
}

/** The rows themselves are at fault: bad values, violated constraints, two rows for one key. */
export function isDataError(error: unknown): boolean {
  if (error instanceof StepFailed) return !error.retryable
  const state = sqlStateOf(error) ?? ''
  return state.startsWith('22') || state.startsWith('23') || state === '21000' || state === '44000'
}
