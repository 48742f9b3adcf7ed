import type { Measurement, Telemetry } from '@switchback/migrations-registry'
import { LATENCY_BUCKETS_MS } from '@switchback/migrations-registry'
import { Counter, type Registry } from 'prom-client'

const LABELS = ['migration', 'epoch', 'path', 'operation'] as const
type Label = (typeof LABELS)[number]

/** Epochs of a migration that are kept; an alert speaks of the present one, or of the one before. */
const EPOCHS_KEPT = 3
/** Instances name migrations as they please; this many names are believed. */
const MIGRATIONS_KEPT = 1000
/** Classes of errors that are told apart. */
const ERRORS_KEPT = 200

export interface SdkMetrics {
  record(batch: Telemetry): void
}

/** Sums of what instances measured, labelled so that an alert can name the migration and the epoch. */
export function createSdkMetrics(registry: Registry): SdkMetrics {
  const registers = [registry]
  const counter = (name: string, help: string) =>
    new Counter<Label>({ name, help, labelNames: [...LABELS], registers })
  const operations = counter('switchback_sdk_operations_total', 'Operations that instances routed')
  const mismatches = counter('switchback_sdk_mismatches_total', 'Shadow reads that differed, and still did')
  const compared = counter('switchback_sdk_compared_total', 'Shadow reads that were compared')
  const secondary = counter('switchback_sdk_secondary_failures_total', 'Writes that failed on the other path')
  const errors = new Counter<Label | 'error'>({
    name: 'switchback_sdk_errors_total',
    help: 'Operations that failed, by class of error',
    labelNames: [...LABELS, 'error'],
    registers,
  })
  const latency = new Counter<Label | 'le'>({
    name: 'switchback_sdk_latency_milliseconds_bucket',
    help: 'Operations by their latency; cumulative, for histogram_quantile',
    labelNames: [...LABELS, 'le'],
    registers,
  })
  const dropped = new Counter({
    name: 'switchback_sdk_telemetry_dropped_total',
    help: 'Measurements that instances dropped rather than queue without bound',
    registers,
  })
  const epochs = new Map<string, readonly number[]>()
  const errorNames = new Set<string>()

  /** Notes the epoch; false for one that is forgotten already, or a migration too many. */
  function keeps({ migration, epoch }: Measurement): boolean {
    const kept = epochs.get(migration) ?? []
    if (kept.includes(epoch)) return true
    if (kept.length === 0 && epochs.size >= MIGRATIONS_KEPT) return false
    const sorted = [...kept, epoch].sort((a, b) => b - a)
    const next = sorted.slice(0, EPOCHS_KEPT)
    if (!next.includes(epoch)) return false
    epochs.set(migration, next)
    for (const old of sorted.slice(EPOCHS_KEPT)) void forget(migration, String(old))
    return true
  }

  /** Or every epoch there ever was would be told of at each scrape. */
  async function forget(migration: string, epoch: string): Promise<void> {
    for (const each of [operations, mismatches, compared, secondary, errors, latency]) {
      const { values } = await each.get()
      for (const { labels } of values) {
        if (labels.migration === migration && labels.epoch === epoch) each.remove(labels)
      }
    }
  }

  function nameOf(error: string): string {
    if (errorNames.has(error)) return error
    if (errorNames.size >= ERRORS_KEPT) return 'other'
    errorNames.add(error)
    return error
  }

  function measure(measurement: Measurement): void {
    if (!keeps(measurement)) return
    const { migration, epoch, path, operation } = measurement
    const labels = { migration, epoch: String(epoch), path, operation }
    operations.inc(labels, measurement.count)
    mismatches.inc(labels, measurement.mismatches)
    compared.inc(labels, measurement.compared)
    secondary.inc(labels, measurement.secondaryFailures)
    for (const [error, count] of Object.entries(measurement.errors)) {
      errors.inc({ ...labels, error: nameOf(error) }, count)
    }
    const total = measurement.latency.reduce((sum, count) => sum + count, 0)
    let below = 0
    for (const [index, bound] of LATENCY_BUCKETS_MS.entries()) {
      below += measurement.latency[index] ?? 0
      latency.inc({ ...labels, le: String(bound) }, below)
    }
    latency.inc({ ...labels, le: '+Inf' }, total)
  }

  return {
    record: ({ measurements, dropped: lost }) => {
      for (const measurement of measurements) measure(measurement)
      if (lost > 0) dropped.inc(lost)
    },
  }
}
