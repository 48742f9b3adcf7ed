/**
 * Lets any number of askers share one question. What an asker gets was asked after it came: an answer that is
 * on its way already may be from before a commit that the asker knows of, so it waits for the next.
 */
export function createFresh<Value>(ask: () => Promise<Value>): () => Promise<Value> {
  let asking: Promise<Value> | undefined
  let next: Promise<Value> | undefined

  function start(): Promise<Value> {
    asking = ask().finally(() => {
      asking = undefined
    })
    return asking
  }

  return () => {
    if (next !== undefined) return next
    if (asking === undefined) return start()
    next = asking
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return start()
      })
    return next
  }
}
