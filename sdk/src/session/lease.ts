import type { Clock } from '../clock.ts'

/** How long the server counts this instance as alive, judged so that we never believe it longer than it does. */
export interface Lease {
  /** @param sentAt when the message was sent that the server has answered: its time began no earlier */
  renew(sentAt: number, leaseMs: number): void
  /** No lease was ever held, or it is over. */
  expired(): boolean
  /** Whether it has been held without a gap since then: in a gap the fleet may have gone on without us. */
  heldSince(moment: number): boolean
  /** Milliseconds left; 0 where there are none. */
  left(): number
  /** The server does not count this instance any more. */
  lose(): void
}

export function createLease(clock: Clock): Lease {
  let until = Number.NEGATIVE_INFINITY
  let since = Number.POSITIVE_INFINITY
  return {
    renew: (sentAt, leaseMs) => {
      if (clock.now() >= until) since = clock.now()
      until = Math.max(until, sentAt + leaseMs)
    },
    expired: () => clock.now() >= until,
    heldSince: (moment) => clock.now() < until && since <= moment,
    left: () => Math.max(0, until - clock.now()),
    lose: () => {
      until = Number.NEGATIVE_INFINITY
    },
  }
}
