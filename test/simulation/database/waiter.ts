/** A session inside the database, as far as waiting is concerned. */
export interface Waiter {
  readonly id: number
  /** Whom its statement waits for at present. */
  blockers: (() => readonly Waiter[]) | undefined
}

/** Whether `start` waits, through others, for itself. */
export function isDeadlocked(start: Waiter): boolean {
  const seen = new Set<Waiter>()
  const open = [...(start.blockers?.() ?? [])]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === start) return true
    if (seen.has(next)) continue
    seen.add(next)
    open.push(...(next.blockers?.() ?? []))
  }
  return false
}
