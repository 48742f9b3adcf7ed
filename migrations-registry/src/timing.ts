import { z } from 'zod'
import { durationSchema } from './units.ts'
import { instantOf, isZone, startOfMinute, type Wall, wallIn } from './zoned-time.ts'

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const

/** A time of the week that comes again: `Sun 02:00-05:00 Asia/Dhaka`. */
export interface TimeWindow {
  readonly text: string
  readonly days: readonly number[]
  /** Minutes since midnight; an end before the start is on the next day. */
  readonly from: number
  readonly to: number
  readonly zone: string
}

/** A stretch of time in which nothing that holds up traffic is begun: `2026-12-20..2027-01-03 Asia/Dhaka`. */
export interface Freeze {
  readonly text: string
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

const TIME = String.raw`([01]?\d|2[0-4]):([0-5]\d)`
const WINDOW = new RegExp(`^(\\S+)\\s+${TIME}\\s*-\\s*${TIME}\\s+(\\S+)$`)
const DATE = String.raw`(\d{4})-(\d{2})-(\d{2})(?:T([01]\d|2[0-3]):([0-5]\d))?`
const FREEZE = new RegExp(`^${DATE}\\s*\\.\\.\\s*${DATE}\\s+(\\S+)$`)

/** Parses a window; undefined where it is none. */
export function parseWindow(text: string): TimeWindow | undefined {
  const [, days = '', fromHour, fromMinute, toHour, toMinute, zone = ''] = WINDOW.exec(text.trim()) ?? []
  const of = daysOf(days.toLowerCase())
  if (of === undefined || !isZone(zone)) return undefined
  const from = Number(fromHour) * 60 + Number(fromMinute)
  const to = Number(toHour) * 60 + Number(toMinute)
  if (from >= 1440 || to > 1440 || from === to) return undefined
  return { text: text.trim(), days: of, from, to, zone }
}

/** `sun`, `mon-fri`, `sat,sun`, `daily` as numbers of days, Sunday 0. */
function daysOf(text: string): readonly number[] | undefined {
  if (text === 'daily') return [0, 1, 2, 3, 4, 5, 6]
  const found = text.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map((day) => DAYS.indexOf(day as (typeof DAYS)[number]))
    if (first === undefined || last === undefined || first < 0 || last < 0) return [-1]
    return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, i) => (first + i) % 7)
  })
  return found.includes(-1) ? undefined : [...new Set(found)].sort()
}

/** Parses a freeze; a date alone counts as a whole day, the last one included. */
export function parseFreeze(text: string): Freeze | undefined {
  const parts = FREEZE.exec(text.trim())
  const zone = parts?.[11] ?? ''
  if (parts === null || !isZone(zone)) return undefined
  const at = (first: number, whole: number): number => {
    const [year = 0, month = 0, day = 0, hour, minute = 0] = parts
      .slice(first, first + 5)
      .map((part) => (part === undefined ? undefined : Number(part)))
    return instantOf(
      { year, month, day: hour === undefined ? day + whole : day, minutes: (hour ?? 0) * 60 + minute },
      zone,
    )
  }
  const freeze = { text: text.trim(), from: at(1, 0), to: at(6, 1) }
  return freeze.from < freeze.to ? freeze : undefined
}

const parsed = <T extends { readonly text: string }>(
  parse: (text: string) => T | undefined,
  expected: string,
) => z.string().refine((text) => parse(text) !== undefined, expected)

export const windowSchema = parsed(
  parseWindow,
  'expected days, times and a time zone, such as "Sun 02:00-05:00 Asia/Dhaka" or "Mon-Fri 22:00-04:00 Europe/Berlin"',
).meta({ id: 'Window', examples: ['Sun 02:00-05:00 Asia/Dhaka', 'daily 03:00-04:00 UTC'] })

export const freezeSchema = parsed(
  parseFreeze,
  'expected two days and a time zone, such as "2026-12-20..2027-01-03 Asia/Dhaka"',
).meta({ id: 'Freeze' })

/** Above any of these a statement that holds up traffic is not begun. */
export const loadSchema = z.strictObject({
  connections: z.int().min(1).optional().describe('Active connections of others'),
  transactionAge: durationSchema.optional().describe('Age of the oldest transaction'),
  tps: z.number().min(0).optional().describe('Transactions per second'),
})
export type LoadLimits = z.output<typeof loadSchema>

/** When work that holds up traffic may be begun. */
export const timingSchema = z.strictObject({
  window: z
    .union([windowSchema.transform((window) => [window]), z.array(windowSchema).min(1).max(50)])
    .optional()
    .describe('When it may begin; over the windows of the target'),
  load: loadSchema.optional(),
})

export interface Timing {
  readonly windows: readonly string[]
  readonly freezes: readonly string[]
  readonly load: LoadLimits
}

export interface Load {
  readonly connections: number
  readonly transactionAgeMs: number
  /** Undefined until it has been measured twice. */
  readonly tps: number | undefined
}

/** What keeps work from being begun now. */
export interface Hold {
  readonly code: 'window' | 'freeze' | 'load'
  readonly message: string
  /** When it ends by itself, as far as that is known. */
  readonly until?: number
}

/** Everything that speaks against beginning now. */
export function holdsOf(
  { windows, freezes, load: limits }: Timing,
  now: number,
  load?: Load,
): readonly Hold[] {
  const holds: Hold[] = []
  const all = windows.flatMap((text) => parseWindow(text) ?? [])
  const frozen = freezes.flatMap((text) => parseFreeze(text) ?? [])
  const isFrozen = (at: number): Freeze | undefined => frozen.find(({ from, to }) => from <= at && at < to)
  const freeze = isFrozen(now)
  if (freeze !== undefined) {
    holds.push({ code: 'freeze', message: `Frozen: ${freeze.text}.`, until: freeze.to })
  }
  if (all.length > 0 && !all.some((window) => isOpen(window, now))) {
    const until = nextOpening(all, now, (at) => isFrozen(at) === undefined)
    holds.push({
      code: 'window',
      message: `Outside of its maintenance window (${all.map(({ text }) => text).join('; ')}).`,
      ...(until === undefined ? {} : { until }),
    })
  }
  const over = load === undefined ? [] : overLoad(limits, load)
  if (over.length > 0) holds.push({ code: 'load', message: `The target is busy: ${over.join(', ')}.` })
  return holds
}

function overLoad(limits: LoadLimits, load: Load): readonly string[] {
  const { connections, transactionAge, tps } = limits
  return [
    ...(connections !== undefined && load.connections > connections
      ? [`${load.connections} active connections, at most ${connections}`]
      : []),
    ...(transactionAge !== undefined && load.transactionAgeMs > transactionAge
      ? [
          `a transaction is ${Math.round(load.transactionAgeMs / 1000)} s old, at most ${transactionAge / 1000} s`,
        ]
      : []),
    ...(tps !== undefined && load.tps !== undefined && load.tps > tps
      ? [`${Math.round(load.tps)} transactions per second, at most ${tps}`]
      : []),
  ]
}

/** By the clock on the wall of its zone: whatever daylight saving does, that is what people have agreed on. */
export function isOpen({ days, from, to, zone }: TimeWindow, at: number): boolean {
  const { weekday, minutes } = wallIn(at, zone)
  if (from < to) return days.includes(weekday) && from <= minutes && minutes < to
  return (days.includes(weekday) && minutes >= from) || (days.includes((weekday + 6) % 7) && minutes < to)
}

const DAY_MS = 86_400_000
/** A freeze may span weeks of windows. */
const LOOK_DAYS = 400

/** The first moment after `now` at which one of the windows is open, and `allowed`. */
export function nextOpening(
  windows: readonly TimeWindow[],
  now: number,
  allowed: (at: number) => boolean = () => true,
): number | undefined {
  for (let day = 0; day <= LOOK_DAYS; day++) {
    const openings = windows
      .flatMap((window) => openingOn(window, now + day * DAY_MS) ?? [])
      .filter((at) => at > now && allowed(at))
    if (openings.length > 0) return Math.min(...openings)
  }
  return undefined
}

/** When the window opens on the day of its zone that `at` is on. */
function openingOn(window: TimeWindow, at: number): number | undefined {
  const today: Wall = wallIn(at, window.zone)
  if (!window.days.includes(today.weekday)) return undefined
  let opening = startOfMinute(instantOf({ ...today, minutes: window.from }, window.zone))
  // Where the clock jumps over the beginning, it opens right after the jump, if it is open then at all.
  if (!isOpen(window, opening)) return undefined
  while (isOpen(window, opening - 60_000)) {
    const before = wallIn(opening - 60_000, window.zone)
    if (before.day !== today.day || before.minutes < window.from) break
    opening -= 60_000
  }
  return opening
}
