const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Milliseconds as people say them: two units at most. */
export function duration(ms: number): string {
  const left = Math.max(0, ms)
  if (left < SECOND) return `${Math.round(left)} ms`
  if (left < 10 * SECOND) return `${(left / SECOND).toFixed(1)} s`
  if (left < MINUTE) return `${Math.round(left / SECOND)} s`
  if (left < HOUR) return two(left, MINUTE, 'min', SECOND, 's', 10)
  if (left < DAY) return two(left, HOUR, 'h', MINUTE, 'min', 10)
  return two(left, DAY, 'd', HOUR, 'h', 10)
}

/** The smaller unit only while the larger one is small. */
function two(ms: number, large: number, name: string, small: number, smallName: string, below: number) {
  const whole = Math.floor(ms / large)
  const rest = Math.floor((ms - whole * large) / small)
  return whole < below && rest > 0 ? `${whole} ${name} ${rest} ${smallName}` : `${whole} ${name}`
}

export const ago = (at: number, now: number): string => {
  const past = now - at
  return past < SECOND
    ? 'just now'
    : `${duration(past < MINUTE ? Math.floor(past / SECOND) * SECOND : past)} ago`
}

const counting = new Intl.NumberFormat('en-GB')
export const count = (value: number): string => counting.format(Math.round(value))

/** "1 instance", "14 instances". */
export const several = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** A ratio as a percentage, with as many digits as it takes to tell small ones apart. */
export function percent(ratio: number): string {
  const value = ratio * 100
  if (value === 0 || value >= 100) return `${Math.round(value)} %`
  return `${Number(value.toPrecision(value < 1 ? 2 : 3))} %`
}

/** Milliseconds of an operation. */
export function latency(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`
  return `${ms >= 100 ? Math.round(ms) : Number(ms.toPrecision(2))} ms`
}

const clockFormat = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short', year: 'numeric' })

export const clockTime = (at: number): string => clockFormat.format(at)
export const day = (at: number): string => dayFormat.format(at)
export const moment = (at: number): string => `${day(at)}, ${clockTime(at)}`
