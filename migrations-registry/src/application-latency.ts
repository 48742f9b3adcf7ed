import type { Millis } from './state.ts'
import { latencyQuantile } from './statistics.ts'
import { LATENCY_WINDOW_MS, type Windows } from './windows.ts'

/** What one kind of operation of the application takes on one path. */
export interface ApplicationLatency {
  /** Such as `reads of old`. */
  readonly kind: string
  /** In ms. */
  readonly p99: number
  /** Of how many operations. */
  readonly count: number
}

/** Every kind of operation that was measured in the last moments, from `since` on. */
export function applicationLatencies(
  windows: Windows,
  now: Millis,
  since: Millis = 0,
): readonly ApplicationLatency[] {
  const kinds = (['old', 'new'] as const).flatMap((path) =>
    (['read', 'write'] as const).map((operation) => ({ path, operation })),
  )
  return kinds.flatMap((kind) => {
    const { latency } = windows.sum({
      ...kind,
      sinceEpoch: 0,
      notBefore: since,
      window: LATENCY_WINDOW_MS,
      now,
    })
    const p99 = latencyQuantile(latency, 0.99)
    const count = latency.reduce((sum, each) => sum + each, 0)
    return p99 === undefined ? [] : { kind: `${kind.operation}s of ${kind.path}`, p99, count }
  })
}

/** The application's own p99 of the last moments in ms: that of the slowest kind. Undefined where nothing was measured. */
export function applicationP99(windows: Windows, now: Millis): number | undefined {
  const all = applicationLatencies(windows, now)
  return all.length === 0 ? undefined : Math.max(...all.map(({ p99 }) => p99))
}
