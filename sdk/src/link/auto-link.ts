import type { Link, LinkListener, LinkRefusal } from './link.ts'

export interface AutoLinkOptions {
  readonly websocket: Link
  /** Makes the way round; called each time that it is needed. */
  readonly polling: () => Link
}

/** Failures in a row that say nothing for certain, after which polling is tried. */
const DOUBTS = 3
/** Nobody is there, or only a proxy is: polling would fail as well, and double the load of all who come back. */
const NOBODY = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|response: 50[234]\b/
/** Something answered, and it was no websocket. */
const BLOCKED = /Unexpected server response|^timeout$/

/**
 * A websocket, and polling for as long as websockets do not get through although the server is there. The
 * websocket is tried on and on; as soon as it works, polling ends.
 */
export function createAutoLink({ websocket, polling }: AutoLinkOptions): Link {
  let listener: LinkListener | undefined
  let round: Link | undefined
  let doubts = 0
  let closed = false

  const current = (): Link => (websocket.connected || round === undefined ? websocket : round)

  const leaveRound = (): void => {
    round?.close()
    round = undefined
  }

  const goRound = (why: LinkRefusal): void => {
    const link = polling()
    round = link
    const isCurrent = (): boolean => round === link && !websocket.connected
    link.open({
      connected: () => isCurrent() && listener?.connected(),
      disconnected: (reason) => isCurrent() && listener?.disconnected(reason),
      failed: (refusal) => {
        if (round !== link) return
        // What the websocket was told stands where polling is told nothing better.
        listener?.failed(refusal.retryable ? why : refusal)
        // The server is gone as a whole: the websocket alone looks for it, until there is a reason again.
        leaveRound()
      },
      change: (body) => isCurrent() && listener?.change(body),
      dismissed: (body) => isCurrent() && listener?.dismissed(body),
    })
  }

  return {
    get connected() {
      return current().connected
    },
    open: (to) => {
      listener = to
      websocket.open({
        connected: () => {
          doubts = 0
          leaveRound()
          to.connected()
        },
        disconnected: to.disconnected,
        failed: (refusal) => {
          if (closed || round !== undefined) return
          doubts = NOBODY.test(refusal.message) ? 0 : doubts + 1
          if (needsRound(refusal, doubts)) goRound(refusal)
          else to.failed(refusal)
        },
        change: to.change,
        dismissed: to.dismissed,
      })
    },
    request: (event, body, timeoutMs) => current().request(event, body, timeoutMs),
    close: () => {
      closed = true
      leaveRound()
      websocket.close()
    },
  }
}

function needsRound({ code, message }: LinkRefusal, doubts: number): boolean {
  if (doubts === 0) return false
  // Also with 401 or 403: a proxy that lets no websocket through says so as well.
  return BLOCKED.test(message) || (code === 'unreachable' && doubts >= DOUBTS)
}
