import { type PruneDeps, type PrunedRecords, pruneRecords } from './prune-records.ts'

export interface RetentionDeps extends Omit<PruneDeps, 'stopped'> {
  readonly intervalMs: number
  readonly onPruned: (removed: PrunedRecords) => void
  readonly onFault: (error: unknown) => void
}

/** Prunes now and then for as long as the server runs. */
export function createRetention({ intervalMs, onPruned, onFault, ...deps }: RetentionDeps) {
  let stopping = false
  let running = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const prune = async (): Promise<void> => {
    try {
      const removed = await pruneRecords({ ...deps, stopped: () => stopping })
      if (Object.values(removed).some((count) => count > 0)) onPruned(removed)
    } catch (error) {
      onFault(error)
    }
  }
  const next = (): void => {
    running = running.then(prune)
  }
  return {
    start: () => {
      next()
      timer ??= setInterval(next, intervalMs).unref()
    },
    stop: async () => {
      stopping = true
      clearInterval(timer)
      await running
    },
  }
}
