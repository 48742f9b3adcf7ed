import type { Measurement } from '@switchback/migrations-registry'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createSdkMetrics } from './sdk-metrics.ts'

const measurement = (more: Partial<Measurement> = {}): Measurement => ({
  migration: 'profiles',
  epoch: 7,
  path: 'new',
  operation: 'read',
  count: 10,
  errors: { Error: 2 },
  latency: [1, 2, 3],
  mismatches: 1,
  compared: 9,
  secondaryFailures: 0,
  ...more,
})

test('measurements add up, by migration, epoch, path and operation', async () => {
  const registry = new Registry()
  const sdk = createSdkMetrics(registry)
  sdk.record({ measurements: [measurement(), measurement({ count: 5, latency: [0, 0, 0, 4] })], dropped: 3 })
  const text = await registry.metrics()
  const labels = 'migration="profiles",epoch="7",path="new",operation="read"'
  expect(text).toContain(`switchback_sdk_operations_total{${labels}} 15`)
  expect(text).toContain(`switchback_sdk_errors_total{${labels},error="Error"} 4`)
  expect(text).toContain(`switchback_sdk_latency_milliseconds_bucket{${labels},le="0.25"} 3`)
  expect(text).toContain(`switchback_sdk_latency_milliseconds_bucket{${labels},le="+Inf"} 10`)
  expect(text).toContain('switchback_sdk_telemetry_dropped_total 3')
})

test('epochs long passed are forgotten, and late ones do not come back', async () => {
  const registry = new Registry()
  const sdk = createSdkMetrics(registry)
  for (const epoch of [1, 2, 3, 4, 5]) sdk.record({ measurements: [measurement({ epoch })], dropped: 0 })
  sdk.record({ measurements: [measurement({ epoch: 1 })], dropped: 0 })
  await new Promise<void>((resolve) => setImmediate(resolve))
  const epochs = [...(await registry.metrics()).matchAll(/operations_total\{[^}]*epoch="(\d)"/g)].map(
    ([, n]) => n,
  )
  expect(epochs.sort()).toEqual(['3', '4', '5'])
})

test('names of errors that never end are summed up', async () => {
  const registry = new Registry()
  const sdk = createSdkMetrics(registry)
  const errors = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`E${n}`, 1]))
  sdk.record({ measurements: [measurement({ errors })], dropped: 0 })
  const text = await registry.metrics()
  expect(text).toMatch(/error="other"\} 100/)
})
