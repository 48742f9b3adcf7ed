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
  /** The last instance of the process has acked this epoch as drained. */
  | { readonly type: 'epoch'; readonly epoch: number; readonly at: number }
  /** All instances of the process are registered again; when each was. */
  | { readonly type: 'back'; readonly times: readonly number[] }
