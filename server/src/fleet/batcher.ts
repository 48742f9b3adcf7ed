/** Collects what arrives together, so that many small requests cost the store a few statements. */
export interface Batcher<Item, Result> {
  /** Resolves with the item's own result once its batch is done; rejects when the whole batch failed. */
  add(item: Item): Promise<Result>
  /** Resolves when nothing is waiting and nothing runs. */
  idle(): Promise<void>
}

export interface BatcherOptions<Item, Result> {
  /** Results in the order of the items. One call at a time: what arrives meanwhile is the next batch. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly max: number
  /** Two items with one key never share a batch; the later one waits for the next. */
  readonly keyOf: (item: Item) => string
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** A lone item is run in the next turn of the event loop; under load batches grow by themselves. */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  let waiting: Waiting<Item, Result>[] = []
  let running: Promise<void> | undefined

  function take(): Waiting<Item, Result>[] {
    const keys = new Set<string>()
    const batch: Waiting<Item, Result>[] = []
    const rest: Waiting<Item, Result>[] = []
    for (const entry of waiting) {
      const key = options.keyOf(entry.item)
      if (batch.length < options.max && !keys.has(key)) batch.push(entry)
      else rest.push(entry)
      keys.add(key)
    }
    waiting = rest
    return batch
  }

  async function drain(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) {
      const batch = take()
      try {
        const results = await options.run(batch.map((entry) => entry.item))
        batch.forEach((entry, i) => {
          entry.resolve(results[i] as Result)
        })
      } catch (error) {
        for (const entry of batch) entry.reject(error)
      }
    }
    running = undefined
  }

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        running ??= drain()
      }),
    idle: () => running ?? Promise.resolve(),
  }
}
