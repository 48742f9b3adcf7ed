import type { IncomingMessage } from 'node:http'

export interface Admission {
  /** As `allowRequest` of Engine.IO. Who is not let in is told 503 at once. */
  allow(request: IncomingMessage, decide: (error: string | undefined, allowed: boolean) => void): void
  /** The connection that this request became has been served what it came for. */
  done(request: IncomingMessage): void
}

export interface AdmissionOptions {
  readonly monotonic: () => number
  /** Connections that may be on their way in at the same time. */
  readonly max?: number
}

/** A few hundred milliseconds of work: whoever is let in is served long before it would give up. */
const MAX_JOINING = 256
/** Who has not registered by then may take as long as it likes, and holds up nobody. */
const JOINING_MS = 10_000
const BUSY =
  'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

/**
 * Bounds how many connections are being made. A fleet that comes back asks for more of them in a second than can
 * be served in ten; were all begun, each would take longer than its client waits, the work would be thrown
 * away, and the next attempts would find the same. Those that are refused cost next to nothing and come again
 * after a backoff of their own.
 */
export function createAdmission({ monotonic, max = MAX_JOINING }: AdmissionOptions): Admission {
  const joining = new Map<IncomingMessage, number>()

  function isFull(): boolean {
    if (joining.size < max) return false
    const now = monotonic()
    for (const [request, since] of joining) {
      if (now - since < JOINING_MS) break
      joining.delete(request)
    }
    return joining.size >= max
  }

  return {
    allow(request, decide) {
      const { socket } = request
      if (isFull()) {
        // Without a decision Engine.IO goes no further; its own refusals are all 400 or 403, as for good.
        socket.on('error', () => undefined)
        socket.end(BUSY)
        return
      }
      joining.set(request, monotonic())
      socket.once('close', () => joining.delete(request))
      decide(undefined, true)
    },
    done: (request) => void joining.delete(request),
  }
}
