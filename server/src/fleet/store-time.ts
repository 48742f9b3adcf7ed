/**
 * Leases are written and judged by the clock of the store, so that servers whose own clocks disagree judge
 * alike. That leaves one clock that may jump. A jump back is harmless: leases seem longer for a while. A jump
 * ahead would end all leases at once, and an instance that stops at the end of its lease (by its own
 * monotonic clock) would be taken for gone while it still works. Hence jumps ahead are noticed by
 * comparing with this process's monotonic clock, and given back to leases until every one of them that was
 * written before the jump has really run out.
 */
export interface StoreTime {
  /** Takes note of a time read from the store by a query sent and answered at these monotonic times. */
  observe(storeMs: number, sentAt: number, answeredAt: number): void
  /** Milliseconds to add to what seems to be left of a lease. */
  grace(): number
}

/** Differences below this are slewing and rounding. */
const TOLERANCE_MS = 1_000

export function createStoreTime(options: {
  readonly leaseMs: number
  readonly monotonic: () => number
}): StoreTime {
  // The largest that (store − monotonic) can have been at the last look.
  let offset: number | undefined
  let jumps: { readonly ms: number; readonly until: number }[] = []
  return {
    observe(storeMs, sentAt, answeredAt) {
      // The store looked at its clock at some time between the two; only what is certain counts as a jump.
      const least = storeMs - answeredAt
      if (offset !== undefined && least - offset > TOLERANCE_MS) {
        jumps.push({ ms: least - offset, until: answeredAt + options.leaseMs })
      }
      offset = storeMs - sentAt
    },
    grace() {
      const now = options.monotonic()
      jumps = jumps.filter((jump) => jump.until > now)
      return jumps.reduce((sum, jump) => sum + jump.ms, 0)
    },
  }
}
