import type {
  Compared,
  Load,
  MigrationDefinition,
  MigrationSql,
  MigrationState,
  Path,
  Throttle,
  WorkKind,
} from '@switchback/migrations-registry'
import type { SchemaState } from '../catalog/ledger.ts'
import type { OpenRepairs, WorkProgress } from '../phases/phase-service.ts'

/** How fast work may go that shares a database with an application. */
export interface PaceNow {
  /** Rows copied in a second; nothing at all where it is 0. */
  readonly rowsPerSecond: number
  /** For a person: what it goes by. */
  readonly because: string
}

export interface WorkPace {
  /** Undefined where there is no need to go slowly. */
  now(): PaceNow | undefined
  /** To be told after every statement. */
  passed(rows: number): void
}

/** One piece of database work, as the engine hands it out. */
export interface WorkOrder {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
  readonly epoch: number
  /** Aborted when the migration has moved on or the server stops; work ends at the next safe point. */
  readonly signal: AbortSignal
  readonly report: (progress: WorkProgress) => void
  /** Whether copying may go on now; asked before every chunk. Resolves to the reason where it may not. */
  readonly heldBackBy: () => string | undefined | Promise<string | undefined>
  /** The limits that hold now; those of the definition where it is left out. */
  readonly throttle?: () => Throttle
  /** How fast it may go for the application's sake; as fast as it can where it is left out. */
  readonly pace?: WorkPace
  /** Why a statement that holds up traffic may not begin now: windows, freezes, load. Undefined where it may. */
  readonly notNow?: () => Promise<string | undefined>
  /** Contract calls this right before the first drop; throws where the work was called off meanwhile. */
  readonly committing: () => Promise<void>
}

export interface WorkOutcome {
  /** Keys that still differ after repair; for verification. */
  readonly divergences: number
  readonly compared?: Compared
  /** Counts and places worth keeping: rows copied, rows compared, archive folder and checksums. */
  readonly detail: Readonly<Record<string, unknown>>
}

/** What writes of the present epoch write second; young intents of it are not left over yet. */
export interface WritesInProgress {
  readonly path: Path
  readonly epoch: number
}

/** A row of old that cannot be copied as it is. */
export interface FailedRow {
  /** Its key in new; the parts of a composite one are joined by U+001F. */
  readonly key: string
  readonly sqlstate: string
  readonly error: string
  /** Milliseconds since 1970. */
  readonly failedAt: number
}

/** A range of values, or a table, that a copy goes through by itself. */
export interface CopiedRange {
  readonly name: string
  readonly state: 'waiting' | 'copying' | 'done'
  readonly rows: number
  /** An estimate where it is not done. */
  readonly total: number
}

/** A transaction of an older epoch that the fence waits for. */
export interface FenceHolder {
  readonly pid: number
  readonly application: string
  readonly ageMs: number
  readonly query: string
}

export type FencePassed =
  | { readonly passed: true }
  | { readonly passed: false; readonly holders: readonly FenceHolder[] }

/**
 * `damaged`: triggers that had been installed were gone or off; what was written meanwhile was not carried.
 * `stale`: the target has seen a newer epoch than the one asked for; nothing was done.
 */
export type Carried = 'there' | 'installed' | 'damaged' | 'removed' | 'stale'

export interface CarryWatch {
  /** At which triggers were found to be needed, or not. */
  readonly epoch: number
  readonly signal: AbortSignal
  /** Told whom the installing waits for. */
  readonly tell: (throttledBy: string | undefined) => void
}

/** The database work of the target of a migration, or of its two. Everything is repeatable: a crash at any point resumes. */
export interface Execution {
  /** Installs the schema `switchback` and the fence of this migration in the target; repeatable. */
  prepare(migration: string): Promise<void>
  /** Raises the minimum to `epoch`, then waits (bounded) until no older transaction can commit. Repeatable. */
  passFence(migration: string, epoch: number, signal?: AbortSignal): Promise<FencePassed>
  /** Has the target remember this state, for the day on which the store is restored from a backup. Returns
   *  what it remembers where that is of a newer epoch, and then keeps it. */
  remember(migration: string, state: MigrationState): Promise<MigrationState | undefined>
  /** Lowest epoch that may write; 0 where the fence is not installed. */
  minimum(migration: string): Promise<number>
  /**
   * Keys that wait for repair, by the path that is behind. In two databases intents are among them, but for
   * those that a write in progress may have left.
   */
  repairs(migration: string, inProgress?: WritesInProgress): Promise<OpenRepairs>
  failedRows(migration: string): Promise<number>
  /** Rows that could not be copied, by key, from the one after `after`. */
  listFailedRows(
    migration: string,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<readonly FailedRow[]>
  /** The ranges of the last copy, in the order in which they are done; none where it goes through old at once. */
  listRanges(migration: string): Promise<readonly CopiedRange[]>
  /** Copies keys that wait for repair from the other path, under the key's lock. Returns how many were done. */
  repairSome(definition: MigrationDefinition, limit: number): Promise<number>
  /** Runs `work` while holding the lock that makes this the only executor of the migration; undefined where
   *  somebody else holds it. Aborts `signal` when the lock's connection breaks. */
  exclusively<T>(migration: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined>
  /** The schema of each database of the migration as it is, beside what the migrations say. */
  schema(): Promise<readonly SchemaState[]>
  /** Removes archives that have been kept for as long as the definition says; returns where they were. */
  pruneArchives(definition: MigrationDefinition): Promise<readonly string[]>
  /** How busy the target is. */
  load(): Promise<Load>
  /** Takes the schema as it is for what it should be. */
  acceptSchema(): Promise<void>
  /**
   * `writes: trigger`: has triggers carry writes from each table to the other, or carry them no more. Returns
   * when no transaction is left that wrote without them. Repeatable, and mends what somebody took away.
   */
  carry(definition: MigrationDefinition, on: boolean, watch: CarryWatch): Promise<Carried>
  run(kind: WorkKind, order: WorkOrder): Promise<WorkOutcome>
  /** Copies ranges of a backfill that another process runs; false where it has none to hand out. */
  assist(order: WorkOrder): Promise<boolean>
  end(): Promise<void>
}
