import type { Schema } from '../api/client.ts'

type Health = Schema<'Health'>
export type HealthPoint = Health['points'][number]

/** A step of time; without figures where nobody told of any. */
type Slot = Pick<HealthPoint, 'at'> & Partial<HealthPoint>

/** Puts an empty step into each gap, so that no line is drawn across it. */
export function withGaps({ points, slotMs }: Health): readonly Slot[] {
  return points.flatMap((point, index): readonly Slot[] => {
    const before = points[index - 1]
    const gap = before !== undefined && point.at - before.at > 2.5 * slotMs
    return gap ? [{ at: before.at + slotMs }, point] : [point]
  })
}

interface Tripwire {
  readonly watch: string
  readonly path?: string
  readonly above?: number | { readonly timesOld: number }
}

/** The line that a tripwire draws: one height, or so many times what old does. */
export function limitLine(
  tripwires: readonly Tripwire[],
  watch: string,
  slots: readonly Slot[],
  ofOld: (slot: Slot) => number | undefined,
): readonly (number | null)[] | undefined {
  const own = tripwires.filter((tripwire) => tripwire.watch === watch && tripwire.above !== undefined)
  if (own.length === 0) return undefined
  return slots.map((slot) => {
    const heights = own.flatMap(({ above }) => {
      if (typeof above === 'number') return [above]
      const old = ofOld(slot)
      return above === undefined || old === undefined ? [] : [old * above.timesOld]
    })
    // The one that is met first.
    return heights.length === 0 ? null : Math.min(...heights)
  })
}

export const RANGES = [
  { minutes: 15, name: '15 min' },
  { minutes: 60, name: '1 hour' },
  { minutes: 360, name: '6 hours' },
  { minutes: 1_440, name: '1 day' },
  { minutes: 10_080, name: '7 days' },
] as const
