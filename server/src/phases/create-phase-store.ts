import { recordChange } from '../changes/record-change.ts'
import type { Db, Queryable } from '../db/db.ts'
import type { FleetReader } from '../fleet/fleet-port.ts'
import { lifeOfStore, noteCompared } from './comparison-store.ts'
import {
  claimId,
  findMigration,
  insertMigration,
  listMigrations,
  lockMigration,
  othersThan,
  phasesOf,
  saveState,
} from './migration-store.ts'
import type { PhaseStore, PhaseTx, RefusedRevert, RevertRecord } from './phase-store.ts'

/** Who keeps incidents; takes the transaction, so that a revert and its incident commit together. */
export interface RevertRecorder {
  opened(tx: Queryable, revert: RevertRecord): Promise<void>
  refused(tx: Queryable, refused: RefusedRevert): ReturnType<PhaseTx['openRefused']>
  /** A further step back, a re-arm, or a step of work that belongs to the incident. */
  noted(tx: Queryable, incident: string, at: number, kind: string, message: string): Promise<void>
}

/** The phase store on PostgreSQL. */
export function createPhaseStore(db: Db, fleet: FleetReader, reverts: RevertRecorder): PhaseStore {
  return {
    list: () => listMigrations(db),
    find: (id) => findMigration(db, id),
    life: () => lifeOfStore(db),
    noteCompared: (life, id, revision) => noteCompared(db, life, id, revision),
    tx: (work) =>
      db.tx((tx) =>
        work({
          lock: (id) => lockMigration(tx, id),
          claim: (id) => claimId(tx, id),
          instances: (id, apps) => fleet.factsFor(tx, id, apps),
          others: (id) => othersThan(tx, id),
          phasesOf: (ids) => phasesOf(tx, ids),
          record: (change) => recordChange(tx, change),
          save: (id, state, revision, at) => saveState(tx, id, state, revision, at),
          insert: (migration, at) => insertMigration(tx, migration, at),
          openIncident: (revert) => reverts.opened(tx, revert),
          openRefused: (refused) => reverts.refused(tx, refused),
          noteIncident: (incident, at, kind, message) => reverts.noted(tx, incident, at, kind, message),
        }),
      ),
  }
}
