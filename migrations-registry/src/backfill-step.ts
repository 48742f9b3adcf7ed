/**
 * A custom backfill step: where new is no table of PostgreSQL, the step writes it, and the engine does the
 * rest, as for tables: chunks, row locks in old, checkpoints, limits, rows at fault, verification, repair.
 */

/** Parts of a key as text, in the order of `copy.key`. */
export type StepKey = readonly string[]

/** Values as PostgreSQL writes them as text, by the names of `copy.columns`. */
export type StepValues = Readonly<Record<string, string | null>>

export interface StepRow {
  readonly key: StepKey
  readonly values: StepValues
}

export interface StepContext {
  readonly migration: string
  /** Aborted when the work is called off or takes too long: end soon, what was begun is done again. */
  readonly signal: AbortSignal
}

export interface StepKeys {
  readonly keys: readonly StepKey[]
  /** Where the next page begins; left out at the end. */
  readonly next?: string
}

export interface StepOutcome {
  /** Rows that cannot be written as they are. They are listed with their error, and block the gate. */
  readonly failed?: readonly { readonly key: StepKey; readonly error: string }[]
}

export interface BackfillStep {
  /**
   * Writes rows to new, over what is there. **Called at least once for each row**: after a crash, and after an
   * error, the same rows come again, so that writing twice must be the same as writing once. The rows are locked
   * in old until it resolves.
   *
   * Throws an error with `retryable: true` where trying again may help (also network errors, told by their
   * `code`); for any other the rows are taken to be at fault, and halved down to those that are.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: what a function without a return statement gives
  write(rows: readonly StepRow[], context: StepContext): Promise<StepOutcome | void>
  /** What new has under these keys, in their order; undefined where it has nothing. */
  read(keys: readonly StepKey[], context: StepContext): Promise<readonly (StepValues | undefined)[]>
  /** Removes keys from new; those that are not there too. */
  remove(keys: readonly StepKey[], context: StepContext): Promise<void>
  /**
   * All keys that new has, page by page; each at least once that is there throughout. Without it what only new
   * has is not found, and there is no way back from `retired`.
   */
  keys?(after: string | undefined, context: StepContext): Promise<StepKeys>
  /** Whether two values of a column mean the same. Default: equal texts. */
  equal?(column: string, old: string | null, fresh: string | null): boolean
  /** Closes connections, when the server stops. */
  close?(): Promise<void>
}

/**
 * Types a step; a migration folder exports it as its default.
 *
 * @example
 * export default defineBackfillStep({
 *   write: async (rows) => { await cache.setMany(rows) },
 *   read: (keys) => cache.getMany(keys),
 *   remove: (keys) => cache.removeMany(keys),
 * })
 */
export const defineBackfillStep = (step: BackfillStep): BackfillStep => step
