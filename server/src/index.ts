export { createDb, type Db } from './db/db.ts'
export { migrateStore } from './db/migrate.ts'
export { STORE_SCHEMA } from './db/store-schema.ts'
export { createExecution, type ExecutionOptions, executionOn } from './execution/execution.ts'
export type { Execution, WorkOrder } from './execution/execution-port.ts'
export type { Finding } from './lint/finding.ts'
export { type LintResult, lintMigration, lintSql } from './lint/lint.ts'
export { loadMigrationFolder } from './migrations-folder/load-migration-folder.ts'
export {
  type BundledPostgres,
  type BundledPostgresOptions,
  startBundledPostgres,
} from './postgres/bundled-postgres.ts'
export type { UserIds } from './postgres/identity.ts'
export { PostgresError, type PostgresErrorCode } from './postgres/postgres-error.ts'
export {
  type Connection,
  createTarget,
  type Sql,
  type Target,
  type TargetOptions,
} from './target/target.ts'
export type { Targets } from './two-targets/pair.ts'
export { pairExecutionOn } from './two-targets/pair-execution.ts'
