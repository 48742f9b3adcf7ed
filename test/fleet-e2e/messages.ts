/** Where an instance stands still in the middle of a write: before it begins, or between its two statements. */
export type HoldAt = 'begin' | 'second-statement'

export type ToInstance =
  | { readonly type: 'write'; readonly key: number; readonly value: string; readonly holdAt?: HoldAt }
  /** Ends what is held. */
  | { readonly type: 'go' }
  | { readonly type: 'stop' }

export type FromInstance =
  | { readonly type: 'ready' }
  | { readonly type: 'holding' }
  | {
      readonly type: 'written'
      /** Undefined where the write was acknowledged. */
      readonly error?: string
      /** SQLSTATEs with which the target has refused statements of this write. */
      readonly refusals: readonly string[]
    }

export interface InstanceSettings {
  readonly instance: string
  readonly url: string
  readonly token: string
  readonly databaseUrl: string
  readonly migration: string
}
