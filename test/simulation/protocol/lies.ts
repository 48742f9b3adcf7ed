import type { Position } from '@switchback/migrations-registry'
import type { Mutant } from './mutants.ts'

type Positions = Readonly<Record<string, Position>>

const positionsOf = (body: unknown): Positions | undefined =>
  typeof body === 'object' && body !== null && 'positions' in body ? (body.positions as Positions) : undefined

/** What some mutants say of themselves. */
export function lieOf(
  mutant: Mutant | undefined,
  oldestRead: () => number | undefined,
): ((body: unknown) => unknown) | undefined {
  const drained: ((position: Position) => number) | undefined =
    mutant === 'ack-without-drain'
      ? ({ applied }) => applied
      : mutant === 'drain-forgets-open-transactions'
        ? ({ applied }) => Math.min(applied, oldestRead() ?? applied)
        : undefined
  if (drained === undefined) return undefined
  return (body) => {
    const positions = positionsOf(body)
    if (positions === undefined) return body
    const told = Object.entries(positions).map(([id, position]) => [
      id,
      { ...position, drained: drained(position) },
    ])
    return { ...(body as object), positions: Object.fromEntries(told) }
  }
}
