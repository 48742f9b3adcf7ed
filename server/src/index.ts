export { type BundledPostgres, type BundledPostgresOptions, startBundledPostgres } from './postgres/bundled-postgres.ts'
export { PostgresError, type PostgresErrorCode } from './postgres/postgres-error.ts'
export type { UserIds } from './postgres/identity.ts'
