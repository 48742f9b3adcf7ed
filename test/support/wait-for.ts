import { setTimeout as pause } from 'node:timers/promises'

export interface WaitOptions {
  /** What is waited for, for the message: "the instance to drain". */
  readonly what?: string
  /** Milliseconds for the whole, default 60,000: a limit for what hangs, not a measurement. */
  readonly timeoutMs?: number
}

/**
 * Looks until `condition` gives something truthy, and returns it. An exception counts as "not yet" and is
 * the cause of the error in the end.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const timeoutMs = options.timeoutMs ?? 60_000
  const deadline = performance.now() + timeoutMs
  let last: unknown
  do {
    try {
      const value = await condition()
      if (value) return value as Exclude<T, false | null | undefined | 0 | ''>
      last = undefined
    } catch (error) {
      last = error
    }
    await pause(10)
  } while (performance.now() < deadline)
  throw new Error(`waited ${timeoutMs} ms in vain for ${options.what ?? 'a condition'}`, { cause: last })
}
