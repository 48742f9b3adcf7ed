export interface WaitingRoom {
  /** Counts the news so far; taken before one looks, so that what comes during the look is not missed. */
  readonly news: number
  /** Nobody is kept any more: the server stops. */
  readonly closed: boolean
  /** Resolves with the first news after `seen`, at the end of the time, or when the asker has gone. */
  newsAfter(seen: number, ms: number, whenGone: (task: () => void) => void): Promise<void>
  /** Lets everybody go. */
  close(): void
}

/** Where requests wait for a revision: one listener, however many wait. */
export function createWaitingRoom(onRevision: (listener: () => void) => () => void): WaitingRoom {
  const waiting = new Set<() => void>()
  let news = 0
  let closed = false

  function release(): void {
    news++
    for (const leave of [...waiting]) leave()
  }
  const unsubscribe = onRevision(release)

  return {
    get news() {
      return news
    },
    get closed() {
      return closed
    },
    newsAfter: (seen, ms, whenGone) => {
      if (closed || news > seen) return Promise.resolve()
      return new Promise((resolve) => {
        const leave = (): void => {
          clearTimeout(timer)
          waiting.delete(leave)
          resolve()
        }
        const timer = setTimeout(leave, ms)
        waiting.add(leave)
        whenGone(leave)
      })
    },
    close: () => {
      closed = true
      unsubscribe()
      release()
    },
  }
}
