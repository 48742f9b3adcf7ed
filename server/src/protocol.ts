/** What decides and orders the steps of a migration, without a database below it: the simulation runs it over its own. */
export type { ChangeRecord } from './changes/record-change.ts'
export { createEngine, type Engine } from './engine/engine.ts'
export { createWorkRunner } from './engine/run-work.ts'
export type {
  Execution,
  FencePassed,
  WorkOrder,
  WorkOutcome,
} from './execution/execution-port.ts'
export type { FleetRefusal, FleetResult } from './fleet/fleet-port.ts'
export {
  judgeForm,
  judgePositions,
  judgeRegistration,
  NOBODY,
  PREVIOUS,
} from './fleet/registration.ts'
export { createPhaseService } from './phases/create-phase-service.ts'
export type {
  Command,
  CommandResult,
  OpenRepairs,
  PhaseService,
  StoredMigration,
} from './phases/phase-service.ts'
export type { PhaseStore, PhaseTx } from './phases/phase-store.ts'
export { createTargetFacts } from './phases/target-facts.ts'
