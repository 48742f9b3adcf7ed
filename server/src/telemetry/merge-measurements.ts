import { fineLatencies, type Measurement } from '@switchback/migrations-registry'

type Sum = { -readonly [K in keyof Measurement]: Measurement[K] }

/** Adds up what several instances tell, so that what is passed on is small however many they are. */
export function createMerger() {
  let sums = new Map<string, Sum>()
  return {
    add(measurement: Measurement): void {
      const { migration, epoch, path, operation } = measurement
      const key = `${migration} ${epoch} ${path} ${operation}`
      const sum = sums.get(key)
      if (sum === undefined) {
        sums.set(key, {
          ...measurement,
          errors: { ...measurement.errors },
          latency: [...measurement.latency],
          fine: [...fineLatencies(measurement)],
          ...(measurement.shadow === undefined ? {} : { shadow: { ...measurement.shadow } }),
        })
        return
      }
      sum.count += measurement.count
      sum.mismatches += measurement.mismatches
      sum.compared += measurement.compared
      sum.secondaryFailures += measurement.secondaryFailures
      if (measurement.shadow !== undefined) {
        const { count, failed } = sum.shadow ?? { count: 0, failed: 0 }
        sum.shadow = {
          count: count + measurement.shadow.count,
          failed: failed + measurement.shadow.failed,
        }
      }
      sum.latency = sum.latency.map((count, i) => count + (measurement.latency[i] ?? 0))
      const fine = fineLatencies(measurement)
      sum.fine = fineLatencies(sum).map((count, i) => count + (fine[i] ?? 0))
      for (const [name, count] of Object.entries(measurement.errors)) {
        sum.errors[name] = (sum.errors[name] ?? 0) + count
      }
    },
    get isEmpty(): boolean {
      return sums.size === 0
    },
    take(): readonly Measurement[] {
      const taken = [...sums.values()]
      sums = new Map()
      return taken
    },
  }
}
