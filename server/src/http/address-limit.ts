import type { Clock } from '../db/clock.ts'

const WINDOW_MS = 60_000
const ADDRESSES_KEPT = 10_000

/** Counts per address what should be rare. */
export interface AddressLimit {
  /** Counts one more; the seconds to wait where it was one too many. */
  count(address: string): number | undefined
}

export function createAddressLimit(allowed: number, clock: Clock): AddressLimit {
  const entries = new Map<string, { count: number; until: number }>()
  return {
    count(address) {
      const now = clock()
      const known = entries.get(address)
      const entry = known === undefined || known.until <= now ? { count: 0, until: now + WINDOW_MS } : known
      entry.count += 1
      // Put last, so that the first of the map is the one that came longest ago.
      entries.delete(address)
      entries.set(address, entry)
      const oldest = entries.keys().next().value
      if (entries.size > ADDRESSES_KEPT && oldest !== undefined) entries.delete(oldest)
      return entry.count > allowed ? Math.ceil((entry.until - now) / 1000) : undefined
    },
  }
}
