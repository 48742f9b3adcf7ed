/** Rests within a statement: so many ms after so many rows, on average. */
export interface Rests {
  readonly rows: number
  readonly ms: number
}

/** Rows that are gone through in one go: it takes less than a millisecond. */
const AT_ONCE = 50
/** PostgreSQL sleeps for whole milliseconds. */
const SHORTEST_MS = 2
/** What of a statement's time is for resting; what is left over is rested after it. */
const SHARE = 0.8

/** Spreads the rows of a statement over its time at a pace: what disturbs others is a core that is busy for long. */
export function restsAt(rowsPerSecond: number): Rests {
  const rows = Math.max(AT_ONCE, Math.ceil((rowsPerSecond * SHORTEST_MS) / (1000 * SHARE)))
  return { rows, ms: (rows * 1000 * SHARE) / rowsPerSecond }
}

/**
 * A condition that always holds and rests now and then where it is asked of row after row. Drawn by chance: counting
 * rows would take a sort where they come in no order.
 *
 * @param first number of the first of its two parameters
 */
export const resting = (first: number): string =>
  `(random() * $${first}::float8 >= 1 or pg_sleep($${first + 1}::float8) is not null)`

export const restingParams = ({ rows, ms }: Rests): readonly number[] => [rows, ms / 1000]
