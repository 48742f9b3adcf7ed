import type { Straggler } from './compatibility.ts'
import type { MigrationDefinition } from './definition.ts'
import type { Blocker } from './gate.ts'
import type { Path, Phase, WorkKind } from './phases.ts'
import type { Refusal } from './refusal.ts'
import type { ReadVariant, WriteVariant } from './routing.ts'
import type { Asker } from './second-person.ts'
import type { Compared, MigrationState, Millis } from './state.ts'
import type { ThrottleChange } from './throttle.ts'

/** Why a revert was asked for. Automatic ones never go where a person has to decide. */
export interface RevertCause {
  readonly kind: 'manual' | 'alert' | 'tripwire' | 'verification'
  readonly reason: string
  readonly by: string
  readonly incident?: string
  /** What failed, where it is known: failing writes to new take the revert one step further. */
  readonly path?: Path
  readonly operation?: 'read' | 'write'
}

export type MigrationEvent =
  | {
      readonly type: 'advance'
      readonly blockers: readonly Blocker[]
      readonly canary: readonly string[]
      /** Epoch up to which the fence has been passed for this step. */
      readonly passed?: number
      /** A person passed over windows, freezes and load: the work does not wait for them either. */
      readonly anytime?: boolean
    }
  | {
      readonly type: 'set-rollout'
      readonly share: number
      readonly canary: readonly string[]
      /** Who may still be on an epoch of the history. */
      readonly instances: readonly Straggler[]
    }
  | {
      readonly type: 'set-flags'
      readonly read?: ReadVariant | null
      readonly write?: WriteVariant | null
      /** Who may still be on an epoch of the history. */
      readonly instances: readonly Straggler[]
    }
  | { readonly type: 'set-backfill'; readonly on: boolean }
  | { readonly type: 'set-throttle'; readonly change: ThrottleChange }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | ({ readonly type: 'approve' } & Asker)
  | {
      readonly type: 'revert'
      readonly cause: RevertCause
      readonly to?: Phase
      /** The run that the cause speaks of: another one is not reverted for it. */
      readonly run?: MigrationState['run']
      /** Who may still be on an epoch of the history. */
      readonly instances: readonly Straggler[]
      readonly canRollback: boolean
      /** Proven for the present epoch: no key of old waits for repair, and nothing older can queue one. */
      readonly oldCurrent?: boolean
    }
  | {
      readonly type: 'continue-revert'
      /** Who may still be on an epoch of the history. */
      readonly instances: readonly Straggler[]
      readonly canRollback: boolean
      /** Proven for the present epoch: no key of old waits for repair, and nothing older can queue one. */
      readonly oldCurrent?: boolean
    }
  | { readonly type: 'restore' }
  | { readonly type: 'verify' }
  | { readonly type: 'rearm' }
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
      /** For verification: keys that still differ. */
      readonly divergences?: number
      readonly compared?: Compared
    }
  | {
      readonly type: 'work-failed'
      readonly kind: WorkKind
      readonly epoch: number
      readonly error: string
    }
  | { readonly type: 'retry-work' }
  /** The target remembers a newer state than the store holds: the store was restored from a backup. */
  | { readonly type: 'epoch-seen'; readonly seen: MigrationState }

/** What the server has to carry out after the new state is committed. */
export type Effect =
  | { readonly type: 'push' }
  | { readonly type: 'wake-engine' }
  | { readonly type: 'stop-work'; readonly kind: WorkKind }

export type Transition =
  | {
      readonly ok: true
      readonly state: MigrationState
      readonly effects: readonly Effect[]
    }
  | { readonly ok: false; readonly refusal: Refusal }

export interface TransitionContext {
  readonly definition: MigrationDefinition
  readonly now: Millis
  /** Oldest epoch that any known instance may still be on; history below it is dropped. */
  readonly oldestLive: number
}
