export type { ClientListener, Status, Switchback } from './client/client.ts'
export { connect } from './client/connect.ts'
export type { ConnectOptions, Transport } from './client/options.ts'
export { type Cancel, type Clock, systemClock } from './clock.ts'
export {
  CommitUnknownError,
  LeaseExpiredError,
  SDK_ERROR_CODES,
  type SdkErrorCode,
  StaleEpochError,
  SwitchbackError,
} from './error.ts'
export type { Log } from './log.ts'
export {
  createMigration,
  type Migration,
  type MigrationOperations,
  type MigrationOptions,
  type PathHandlers,
  runtimeOptionsOf,
  type UntypedOptions,
} from './routing/create-migration.ts'
export { type Described, type DescribedOptions, describeHandlers } from './routing/describe-handlers.ts'
export { type MigrationKey, MigrationRuntime, type RuntimeOptions } from './routing/migration-runtime.ts'
export { OpenTransaction, type RoutedTransaction, runTransaction } from './routing/routed-transaction.ts'
export type { RouterEnv, SecondaryFailure } from './routing/router-env.ts'
export { createRecorder, type Recorder } from './telemetry/recorder.ts'
export type { BehindQuestion, HalfHandle, HalfPort, Intent } from './transaction/half-port.ts'
export { type Independent, independent } from './transaction/independent.ts'
export type { Isolation } from './transaction/pg-text.ts'
export {
  type PgClient,
  type PgPool,
  type PgTransactionOptions,
  pgTransaction,
} from './transaction/pg-transaction.ts'
export type {
  Guard,
  Repair,
  TargetFailure,
  TransactionHandle,
  TransactionPort,
} from './transaction/transaction-port.ts'
