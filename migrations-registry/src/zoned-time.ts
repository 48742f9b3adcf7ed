/** A day in a time zone, and minutes since its midnight as the clock on the wall shows them. */
export interface WallTime {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly minutes: number
}

export interface Wall extends WallTime {
  /** Sunday is 0. */
  readonly weekday: number
}

const formats = new Map<string, Intl.DateTimeFormat>()

function formatFor(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  })
  formats.set(zone, format)
  return format
}

/** Whether it is a name of the time zone database. */
export function isZone(zone: string): boolean {
  try {
    formatFor(zone)
    return true
  } catch {
    return false
  }
}

/** What the clock on the wall shows in `zone` at a moment. */
export function wallIn(at: number, zone: string): Wall {
  const parts = new Map(
    formatFor(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, Number(value)]),
  )
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0
  const [year, month, day] = [part('year'), part('month'), part('day')]
  const weekday = new Date(Date.UTC(year, month - 1, day)).getUTCDay()
  return { year, month, day, weekday, minutes: part('hour') * 60 + part('minute') }
}

const asUtc = ({ year, month, day, minutes }: WallTime): number => Date.UTC(year, month - 1, day, 0, minutes)

/**
 * The moment at which the clock on the wall shows this. Of two (the hour that comes twice) the first; where the
 * clock jumps over it, as much later as it was asked after the jump's beginning.
 */
export function instantOf(wall: WallTime, zone: string): number {
  const wanted = asUtc(wall)
  const offset = (at: number): number => asUtc(wallIn(at, zone)) - startOfMinute(at)
  // The offsets of the days around are the only two that there can be.
  const candidates = [offset(wanted - 86_400_000), offset(wanted + 86_400_000)].map(
    (difference) => wanted - difference,
  )
  const exact = candidates.filter((at) => asUtc(wallIn(at, zone)) === wanted)
  return exact.length > 0 ? Math.min(...exact) : Math.max(...candidates)
}

export const startOfMinute = (at: number): number => Math.floor(at / 60_000) * 60_000
