import type {
  InstanceFacts,
  MigrationState,
  Phase,
  Refusal,
  RevertCause,
} from '@switchback/migrations-registry'
import type { ChangeRecord } from '../changes/record-change.ts'
import type { StoredMigration } from './phase-service.ts'

/** A revert as the incidents are told of it, in the transaction that commits it. */
export interface RevertRecord {
  readonly incident: string
  readonly migration: string
  readonly cause: RevertCause
  readonly from: { readonly phase: Phase; readonly epoch: number }
  readonly to: { readonly phase: Phase; readonly epoch: number }
  readonly at: number
}

/** An automatic revert that may not be made: a person has to see to it. */
export interface RefusedRevert extends Omit<RevertRecord, 'to'> {
  readonly refusal: Refusal
}

/** What the phase service does inside one store transaction. */
export interface PhaseTx {
  /** Reads a migration and keeps others from changing it until the transaction ends. */
  lock(id: string): Promise<StoredMigration | undefined>
  /** Keeps others from registering this id until the transaction ends; also where no row is there to lock. */
  claim(id: string): Promise<void>
  /** Instances that the gate has to reckon with; see `FleetReader.factsFor`. */
  instances(id: string, apps: readonly string[]): Promise<readonly InstanceFacts[]>
  /** All migrations but this one; others that ask wait until the transaction ends. */
  others?(id: string): Promise<readonly StoredMigration[]>
  phasesOf(ids: readonly string[]): Promise<ReadonlyMap<string, Phase>>
  /** Takes the next revision, with the audit event that belongs to it. */
  record(change: ChangeRecord): Promise<number>
  save(id: string, state: MigrationState, revision: number, at: number): Promise<void>
  insert(migration: StoredMigration, at: number): Promise<void>
  openIncident(revert: RevertRecord): Promise<void>
  /** An automatic revert that was refused. Returns the open incident of it, and whether it is a new one. */
  openRefused(refused: RefusedRevert): Promise<{ readonly id: string; readonly isNew: boolean }>
  noteIncident(incident: string, at: number, kind: string, message: string): Promise<void>
}

/** The store as the phase service needs it; PostgreSQL in production, a model of it in simulation. */
export interface PhaseStore {
  list(): Promise<readonly StoredMigration[]>
  find(id: string): Promise<StoredMigration | undefined>
  /** Names the time in which the store cannot have gone back: another one after a restart or a restore of it. */
  life(): Promise<string>
  /** Notes that this revision of a migration has been compared with its target, if both it and the life still are. */
  noteCompared(life: string, id: string, revision: number): Promise<void>
  /** Committed when `work` resolves, rolled back when it throws. */
  tx<Result>(work: (tx: PhaseTx) => Promise<Result>): Promise<Result>
}
