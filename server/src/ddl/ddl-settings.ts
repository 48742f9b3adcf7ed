import type { MigrationDefinition } from '@switchback/migrations-registry'
import type { SqlStatement, StatementMode } from '../sql-text/sql-statements.ts'
import type { IndexProgress } from '../target/in-the-way.ts'
import type { Target } from '../target/target.ts'
import type { SqlFile } from './ddl-records.ts'

export interface DdlSettings {
  /** How long a statement may wait for its locks, and with that hold up everybody behind it. */
  readonly lockTimeoutMs: number
  /** Limit of statements that are expected to touch the catalog only. */
  readonly statementTimeoutMs: number
  /** How long locks are tried for, statement by statement. */
  readonly deadlineMs: number
  /** How far replicas may be behind when a statement begins. */
  readonly maxReplicaLagMs: number
  /** Ends transactions that hold a lock in the way for longer; undefined ends none. */
  readonly cancelBlockersMs?: number | undefined
}

export interface DdlDeps {
  readonly target: Target
  readonly clock: () => number
  readonly random: () => number
  readonly settings: DdlSettings
}

export interface DdlOptions {
  /** Whether what a statement undoes may be missing: rolling back an expand that stopped half-way. */
  readonly missingIsDone?: boolean
}

export type StatementReport = (seen: {
  readonly throttledBy?: string
  readonly index?: IndexProgress
}) => void

/** One statement of a file that is still to run. */
export interface Step {
  readonly file: SqlFile
  readonly position: number
  readonly statement: SqlStatement
  readonly mode: StatementMode
  readonly options: DdlOptions
  readonly report: StatementReport
}

const DEFAULTS: DdlSettings = {
  lockTimeoutMs: 2_000,
  statementTimeoutMs: 60_000,
  deadlineMs: 600_000,
  maxReplicaLagMs: 10_000,
}

/** What holds for a migration: what its definition says, over what the server was set to. */
export function ddlSettings({ ddl }: MigrationDefinition, given: Partial<DdlSettings> = {}): DdlSettings {
  return {
    ...DEFAULTS,
    ...given,
    ...(ddl.lockTimeout === undefined ? {} : { lockTimeoutMs: ddl.lockTimeout }),
    ...(ddl.statementTimeout === undefined ? {} : { statementTimeoutMs: ddl.statementTimeout }),
    ...(ddl.deadline === undefined ? {} : { deadlineMs: ddl.deadline }),
    ...(ddl.replicaLag === undefined ? {} : { maxReplicaLagMs: ddl.replicaLag }),
    ...(ddl.cancelBlockers === undefined ? {} : { cancelBlockersMs: ddl.cancelBlockers }),
  }
}
