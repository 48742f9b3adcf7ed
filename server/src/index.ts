export {
  type BundledPostgres,
  type BundledPostgresOptions,
  startBundledPostgres,
} from './postgres/bundled-postgres.ts'
export type { UserIds } from './postgres/identity.ts'
export { PostgresError, type PostgresErrorCode } from './postgres/postgres-error.ts'
