import type { DatabaseTripwire } from './tripwire-schema.ts'
import type { DatabaseReading, Judgement } from './verdict.ts'

/** So many readings in a row above the limit. One that failed is no reading: it breaks no row, and makes none. */
export function judgeDatabase(tripwire: DatabaseTripwire, readings: readonly DatabaseReading[]): Judgement {
  const { signal, above: limit } = tripwire
  const recent = readings.slice(-tripwire.for)
  const last = recent.at(-1)
  if (last === undefined || last.value === undefined) {
    const why = last?.problem ?? 'nothing has been read yet'
    const explanation = `${signal} cannot be told: ${why}.`
    return { outcome: 'inconclusive', reason: 'no-reading', explanation, numbers: { limit } }
  }
  const numbers = { value: last.value, limit, samples: recent.length }
  const text = `${signal} is ${Number(last.value.toFixed(1))}; the limit is ${limit}`
  if (last.value <= limit) {
    return { outcome: 'fine', reason: 'below-limit', explanation: `${text}.`, numbers }
  }
  const inARow = recent.filter(({ value }) => value !== undefined && value > limit).length
  if (inARow < tripwire.for) {
    const explanation = `${text}, for ${inARow} of ${tripwire.for} readings.`
    return { outcome: 'inconclusive', reason: 'not-in-a-row', explanation, numbers }
  }
  const explanation = `${text}, for ${inARow} readings in a row.`
  return { outcome: 'breach', reason: 'breach', explanation, numbers }
}
