/** Calls `visit` with each of them; they may be many, and are asked for often. */
export type Blockers = (visit: (other: Waiter) => void) => void

/** A session inside the database, as far as waiting is concerned. */
export interface Waiter {
  readonly id: number
  /** Names everyone whom its statement waits for at present. */
  blockers: Blockers | undefined
}

/** Whether `start` waits, through others, for itself. */
export function isDeadlocked(start: Waiter): boolean {
  const seen = new Set<Waiter>()
  const open: Waiter[] = []
  const visit = (other: Waiter) => {
    if (seen.has(other)) return
    seen.add(other)
    open.push(other)
  }
  start.blockers?.(visit)
  while (open.length > 0 && !seen.has(start)) open.pop()?.blockers?.(visit)
  return seen.has(start)
}
