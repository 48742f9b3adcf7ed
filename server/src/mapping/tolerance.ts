import type { Tolerance } from '@switchback/migrations-registry'
import { type Column, differs } from './table-columns.ts'

const MICROSECONDS = { second: 1_000_000, millisecond: 1_000 } as const

/** SQL that is true where two values are further apart than their column tolerates. */
export function unlike(
  tolerance: Tolerance | undefined,
  column: Column,
  left: string,
  right: string,
): string {
  const exactly = differs(column, left, right)
  if (tolerance === undefined) return exactly
  if (tolerance === 'json') return `(${left})::jsonb is distinct from (${right})::jsonb`
  if ('precision' in tolerance) {
    const apart = `abs(extract(epoch from (${left}) - (${right}))) * 1000000`
    return `(${exactly} and coalesce(${apart} >= ${MICROSECONDS[tolerance.precision]}, true))`
  }
  const [one, other] = [`(${left})::float8`, `(${right})::float8`]
  const { absolute = 0, relative = 0 } = tolerance
  const allowed = `greatest(${absolute}::float8, ${relative}::float8 * greatest(abs(${one}), abs(${other})))`
  return `(${exactly} and not coalesce(abs(${one} - ${other}) <= ${allowed}, false))`
}
