import { expect, it } from 'vitest'
import { applicationP99 } from './application-latency.ts'
import { definitionSchema } from './definition.ts'
import { createWindows, spansOf } from './windows.ts'
import { LATENCY_BUCKETS_MS } from './wire.ts'

const definition = definitionSchema.parse({
  id: 'm',
  title: 'x',
  copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { v: 'v' } },
})

/** So many operations in the bucket that ends at `ms`. */
const measured = (operation: 'read' | 'write', ms: number, count: number) => ({
  migration: 'm',
  epoch: 3,
  path: 'old' as const,
  operation,
  count,
  errors: {},
  latency: [...LATENCY_BUCKETS_MS.map((bound) => (bound === ms ? count : 0)), 0],
  mismatches: 0,
  compared: 0,
  secondaryFailures: 0,
})

it('goes by the slowest kind of operation, of the last moments alone', () => {
  const windows = createWindows(spansOf(definition))
  const [fast = 0, , slow = 0] = LATENCY_BUCKETS_MS
  expect(applicationP99(windows, 100_000)).toBeUndefined()
  windows.add(measured('read', fast, 1000), 99_000)
  windows.add(measured('write', slow, 10), 99_500)
  expect(applicationP99(windows, 100_000)).toBeGreaterThan(LATENCY_BUCKETS_MS[1] ?? 0)
  expect(applicationP99(windows, 100_000)).toBeLessThanOrEqual(slow)
  expect(applicationP99(windows, 120_000)).toBeUndefined()
})
