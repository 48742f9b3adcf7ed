/** Codes of errors that the SDK makes itself. What a handler throws reaches the caller as it is. */
export const SDK_ERROR_CODES = [
  'bad-options',
  'unauthorized',
  'refused',
  'unreachable',
  'missing-handlers',
  'stale-epoch',
  'lease-expired',
  'repair-conflict',
  'commit-unknown',
  'transaction-aborted',
  'bad-key',
  'closed',
] as const

export type SdkErrorCode = (typeof SDK_ERROR_CODES)[number]

/** A fault of the SDK. `retryable` says whether the same call may succeed later without a change. */
export class SwitchbackError extends Error {
  readonly code: SdkErrorCode
  readonly retryable: boolean

  constructor(code: SdkErrorCode, message: string, options: { retryable: boolean; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable
  }
}

/** The target refused a write of an epoch that has passed, and no newer epoch was heard of in time. */
export class StaleEpochError extends SwitchbackError {
  readonly migration: string
  readonly epoch: number

  constructor(migration: string, epoch: number, cause: unknown) {
    super('stale-epoch', `epoch ${epoch} of ${migration} has passed; nothing was written`, {
      retryable: true,
      cause,
    })
    this.migration = migration
    this.epoch = epoch
  }
}

/** With `onLeaseExpired: 'stop'`: the server may count this instance as gone, so it does nothing. */
export class LeaseExpiredError extends SwitchbackError {
  constructor() {
    super('lease-expired', 'the lease of this instance is over and it is set to stop then', {
      retryable: true,
    })
  }
}

/** The connection broke during COMMIT: the write may or may not have happened. Never retried blindly. */
export class CommitUnknownError extends SwitchbackError {
  constructor(cause: unknown) {
    super('commit-unknown', 'the connection was lost during COMMIT: whether it took effect is not known', {
      retryable: false,
      cause,
    })
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
