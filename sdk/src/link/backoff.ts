/** Longest wait between two attempts, in milliseconds. */
export const MAX_BACKOFF_MS = 20_000
const FIRST_MS = 1_000

/** Milliseconds to wait before the next attempt: full jitter, so that a fleet does not come back at once. */
export const backoff = (attempt: number, random: () => number): number =>
  random() * Math.min(MAX_BACKOFF_MS, FIRST_MS * 2 ** Math.min(attempt, 10))
