import type { EpochRecord } from './compatibility.ts'
import type { Phase, WorkKind } from './phases.ts'
import type { ReadVariant, Rollout, Routing, WriteVariant } from './routing.ts'
import { askingForOld, askingWhereBehind, NO_ROLLOUT, routingOf } from './routing.ts'
import type { ThrottleChange } from './throttle.ts'

/** Times are Unix milliseconds throughout the domain. */
export type Millis = number

export type WorkStatus = 'pending' | 'running' | 'done' | 'failed'

/** What a verification found. */
export interface Compared {
  /** Rows that were compared. */
  readonly rows: number
  /** Keys that differed under their lock; the most of them are repaired. */
  readonly differing: number
  /** Keys that still differ after repair. */
  readonly left: number
}

/** Database work that the present phase asks of the engine. The engine derives what to do from here. */
export interface Work {
  readonly kind: WorkKind
  /** Epoch in which the work was asked for; with `kind` its identity. */
  readonly epoch: number
  readonly status: WorkStatus
  readonly error?: string
  /** Contract only: what goes is being dropped; from here it can be finished or restored, not called off. */
  readonly committing?: boolean
  /** A person has passed over windows, freezes and load. */
  readonly anytime?: boolean
  /** Verification and reverse backfill, once they have ended. */
  readonly compared?: Compared
}

export interface Latch {
  readonly at: Millis
  readonly reason: string
  readonly incident?: string
}

/** A further step of a revert, taken by itself as soon as nobody can be hurt by it. */
export interface PendingRevert {
  readonly to: Phase
  readonly reason: string
  readonly by: string
  readonly since: Millis
}

export interface Approval {
  readonly by: string
  /** See `Asker`. */
  readonly person?: string
  readonly at: Millis
}

export interface MigrationState {
  readonly phase: Phase
  readonly epoch: number
  /** When the present phase, or the present step of the rollout, was entered. */
  readonly since: Millis
  /** The phase that this one was entered from. */
  readonly from?: Phase
  readonly rollout: Rollout
  /** Flags set apart from the phase by a person. */
  readonly overrides: {
    readonly read?: ReadVariant
    readonly write?: WriteVariant
  }
  readonly paused: boolean
  /** `<migration>.backfill`: whether copying may run. */
  readonly backfillOn: boolean
  /** Limits that a person has set over those of the definition. */
  readonly throttle?: ThrottleChange
  readonly latch?: Latch
  readonly work?: Work
  /** Whether a path holds every acknowledged write, proven by verification (I4). */
  readonly complete: { readonly old: boolean; readonly new: boolean }
  readonly pending?: PendingRevert
  readonly approvals: readonly Approval[]
  /** Epochs below this are proven to be out of use in the target: its fence has been passed. Never falls. */
  readonly minimum: number
  /** Routing by epoch, oldest first, down to the oldest epoch that may still be in use; ends with the present. */
  readonly history: readonly EpochRecord[]
  /** Since when the new path has been exposed to the application without interruption: alerts that began
   *  before say nothing about what runs now. */
  readonly run: { readonly epoch: number; readonly at: Millis }
}

/** What the flags say now: those of the phase, with a person's overrides. */
export function currentRouting(migration: string, state: MigrationState): Routing {
  const ofPhase = routingOf(migration, state.phase, state.rollout, state.complete.old)
  const comesBack = state.phase === 'dual-write' && state.from === 'promoted'
  const routing = comesBack ? askingForOld(ofPhase) : ofPhase
  const { read, write } = state.overrides
  return askingWhereBehind({
    ...routing,
    write: write ?? routing.write,
    read: read === undefined ? routing.read : { kind: 'fixed', variant: read },
  })
}

/** A migration as it is when it is registered: `planned`, epoch 1. */
export function initialState(migration: string, now: Millis): MigrationState {
  const state: MigrationState = {
    phase: 'planned',
    epoch: 1,
    since: now,
    rollout: NO_ROLLOUT,
    overrides: {},
    paused: false,
    backfillOn: true,
    complete: { old: true, new: false },
    approvals: [],
    minimum: 0,
    history: [],
    run: { epoch: 1, at: now },
  }
  return {
    ...state,
    history: [{ epoch: 1, routing: currentRouting(migration, state), fenced: false }],
  }
}
