import type {
  Blocker,
  Compared,
  Gate,
  MigrationDefinition,
  MigrationSql,
  MigrationState,
  Path,
  Phase,
  ReadVariant,
  Refusal,
  RevertCause,
  ThrottleChange,
  WorkKind,
  WriteVariant,
} from '@switchback/migrations-registry'

/** A migration as the store holds it. */
export interface StoredMigration {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
  /** Text of `migration.yaml`. */
  readonly source: string
  readonly checksum: string
  readonly state: MigrationState
  /** Revision of the last change. */
  readonly revision: number
  /** Whether it has been compared with its target since the store could have gone back in time. Where it has
   *  not, all of this may be out of date, and its epochs may have been given out before. */
  readonly compared: boolean
}

/** Who asks for a change: a token's or a person's name, or a part of the server. */
export interface Actor {
  readonly name: string
  /** The human being behind the name, where that is known. */
  readonly person?: string
}

/** What a person or a pipeline may ask of a migration. */
export type Command =
  | {
      readonly type: 'advance'
      /** At which it is to be taken alone: what was asked twice must not be two steps. */
      readonly epoch?: number
      readonly force?: readonly string[]
      readonly reason?: string
    }
  | {
      readonly type: 'set-rollout'
      readonly share?: number
      readonly canaries?: number
    }
  | {
      readonly type: 'set-flags'
      readonly read?: ReadVariant | null
      readonly write?: WriteVariant | null
    }
  | { readonly type: 'set-backfill'; readonly on: boolean }
  | { readonly type: 'set-throttle'; readonly change: ThrottleChange }
  | { readonly type: 'pause'; readonly reason?: string }
  | { readonly type: 'resume' }
  | { readonly type: 'approve' }
  | {
      readonly type: 'revert'
      readonly to?: Phase
      readonly cause: Omit<RevertCause, 'by'>
      /** Only while this run is on; see `MigrationEvent`. */
      readonly run?: MigrationState['run']
    }
  | { readonly type: 'continue-revert' }
  | { readonly type: 'restore' }
  | { readonly type: 'verify' }
  | { readonly type: 'rearm'; readonly reason: string }
  | { readonly type: 'retry-work' }
  /** From the engine. */
  | { readonly type: 'fence-passed'; readonly epoch: number }
  | {
      readonly type: 'work-started'
      readonly kind: WorkKind
      readonly epoch: number
    }
  | {
      readonly type: 'work-committing'
      readonly kind: WorkKind
      readonly epoch: number
    }
  | {
      readonly type: 'work-done'
      readonly kind: WorkKind
      readonly epoch: number
      readonly divergences?: number
      readonly compared?: Compared
      readonly detail?: Readonly<Record<string, unknown>>
    }
  | {
      readonly type: 'work-failed'
      readonly kind: WorkKind
      readonly epoch: number
      readonly error: string
    }
  | { readonly type: 'epoch-seen'; readonly seen: MigrationState }

export type CommandResult =
  | { readonly ok: true; readonly migration: StoredMigration }
  | {
      readonly ok: false
      readonly refusal: Refusal
      readonly blockers?: readonly Blocker[]
      /** Where an automatic revert was refused and a person has to see to it. */
      readonly incident?: string
    }

export interface RegisterInput {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
  readonly source: string
}

/**
 * What came of comparing a migration with its target. `taken-up`: the target knew of a newer epoch, and the store
 * has its state now. `moved`: so it did, and the store by now knows of it too. `unknown`: the target did not answer.
 */
export type Comparison = 'compared' | 'taken-up' | 'moved' | 'unknown'

/** Every change of a migration goes through here: judged, committed with its audit event, then pushed. */
export interface PhaseService {
  list(): Promise<readonly StoredMigration[]>
  get(id: string): Promise<StoredMigration | undefined>
  /** Registers a migration, or replaces the definition of one that is still planned. */
  register(input: RegisterInput, actor: Actor): Promise<CommandResult>
  gate(id: string): Promise<Gate | undefined>
  /** With its gate, both of one state: whoever steps by what is told must not take the step after it. */
  look(id: string): Promise<{ readonly migration: StoredMigration; readonly gate: Gate } | undefined>
  /** Compares a migration with what its target remembers, and takes up what the store has forgotten. Never
   *  throws for a target that does not answer. */
  compare(migration: StoredMigration): Promise<Comparison>
  command(id: string, command: Command, actor: Actor): Promise<CommandResult>
}

/** Open repairs by the path that is behind. */
export type OpenRepairs = Readonly<Record<Path, number>>

/** Progress of database work, as the engine reports it and the API shows it. */
/** One worker of a backfill, in whichever process it runs. */
export interface WorkerProgress {
  readonly name: string
  /** Rows that it has copied in all. */
  readonly rows: number
  /** Rows of its last chunk, and how many milliseconds its statement took. */
  readonly chunkRows: number
  readonly chunkMs: number
}

/** Where work that goes by ranges of values, or by several tables, stands. */
export interface RangesProgress {
  readonly all: number
  readonly done: number
  /** Those that are worked on now. */
  readonly active: readonly { readonly name: string; readonly rows?: number; readonly total?: number }[]
}

export interface WorkProgress {
  /** What is being done now, such as `copying`, `waiting for drain`, `sweeping`. */
  readonly stage: string
  readonly done?: number
  /** An estimate where it is not known exactly. */
  readonly total?: number
  /** Rows per second. */
  readonly rate?: number
  readonly etaMs?: number
  /** What holds the work back, where something does. */
  readonly throttledBy?: string
  readonly workers?: readonly WorkerProgress[]
  readonly ranges?: RangesProgress
  readonly detail?: Readonly<Record<string, unknown>>
}

export interface WorkRecord {
  readonly kind: WorkKind
  readonly epoch: number
  readonly status: 'pending' | 'running' | 'done' | 'failed'
  readonly progress: WorkProgress
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: string
  readonly startedAt: number
  readonly updatedAt: number
  readonly endedAt?: number
}
