import { latencyQuantile } from './statistics.ts'
import type { Windows } from './windows.ts'
import { LATENCY_WINDOW_MS } from './windows.ts'

/**
 * The application's own p99 of the last moments in ms: that of the slowest kind of operation on either path.
 * Undefined where nothing was measured.
 */
export function applicationP99(windows: Windows, now: number): number | undefined {
  const kinds = (['old', 'new'] as const).flatMap((path) =>
    (['read', 'write'] as const).map((operation) => ({ path, operation })),
  )
  const worst = kinds.flatMap((kind) => {
    const { latency } = windows.sum({
      ...kind,
      sinceEpoch: 0,
      notBefore: 0,
      window: LATENCY_WINDOW_MS,
      now,
    })
    return latencyQuantile(latency, 0.99) ?? []
  })
  return worst.length === 0 ? undefined : Math.max(...worst)
}
