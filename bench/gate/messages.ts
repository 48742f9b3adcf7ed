export interface InstancesSettings {
  readonly url: string
  readonly token: string
  readonly migration: string
  readonly first: number
  readonly count: number
  readonly atOnce: number
}

/** Times are Unix milliseconds with fractions; all processes share the clock of the machine. */
export type FromInstances =
  | { readonly type: 'joined' }
  /** The first instance of the process has acked this epoch. */
  | { readonly type: 'first'; readonly epoch: number; readonly at: number }
  /** The first call that was made to fail since failing was asked for. */
  | { readonly type: 'failed'; readonly at: number }
  /** The last instance of the process has acked this epoch as drained. */
  | { readonly type: 'epoch'; readonly epoch: number; readonly at: number }
  /** All instances of the process are registered again; when each was. */
  | { readonly type: 'back'; readonly times: readonly number[] }

export type ToInstances =
  | { readonly type: 'end' }
  /** Writes that each instance makes in a second, and whether they fail on new. */
  | { readonly type: 'traffic'; readonly perSecond: number; readonly fails: boolean }
