/** Messages that a client may send at once, and per second after that. A well-behaved SDK needs a tenth. */
const BURST = 200
const PER_SECOND = 50

/** Bounds what one client can make a server do. Times are monotonic milliseconds. */
export function createMessageRate(monotonic: () => number): { allows(): boolean } {
  let left = BURST
  let at = monotonic()
  return {
    allows() {
      const now = monotonic()
      left = Math.min(BURST, left + ((now - at) * PER_SECOND) / 1000)
      at = now
      if (left < 1) return false
      left--
      return true
    },
  }
}
