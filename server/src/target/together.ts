import { throwIfStopped } from './execution-error.ts'

/**
 * Runs `count` workers side by side, until the last has ended. Nobody goes on alone after a fault: the first one
 * stops the others, and is what is thrown.
 */
export async function together(
  stop: AbortSignal,
  count: number,
  worker: (signal: AbortSignal, place: number) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const signal = AbortSignal.any([stop, failed.signal])
  const ended = await Promise.allSettled(
    Array.from({ length: Math.max(1, count) }, (_, i) =>
      worker(signal, i + 1).catch((error: unknown) => {
        failed.abort(error)
        throw error
      }),
    ),
  )
  throwIfStopped(stop)
  if (ended.some(({ status }) => status === 'rejected')) throw failed.signal.reason
}
