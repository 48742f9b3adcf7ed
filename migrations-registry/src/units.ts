import { z } from 'zod'

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** A time span such as `10m`, `1h`, `500ms`; parsed to milliseconds. */
export const durationSchema = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'expected a number and a unit (ms, s, m, h, d), such as "10m"')
  .transform((text) => Math.round(Number.parseFloat(text) * (UNIT_MS[text.replace(/[\d.]/g, '')] ?? 1)))
  .meta({ id: 'Duration', examples: ['10m', '1h', '7d'] })

/** A share such as `10%` or `0.01%`; parsed to 0..1. */
export const percentSchema = z
  .string()
  .regex(/^\d+(\.\d+)?%$/, 'expected a percentage, such as "10%"')
  .transform((text) => Number((Number.parseFloat(text) / 100).toFixed(8)))
  .refine((share) => share <= 1, 'expected at most 100%')
  .meta({ id: 'Percentage', examples: ['10%', '0.01%'] })

const UNIT_BYTES: Readonly<Record<string, number>> = { kB: 1e3, MB: 1e6, GB: 1e9 }

/** An amount of data such as `50MB`; parsed to bytes. */
export const bytesSchema = z
  .string()
  .regex(/^\d+(\.\d+)?(kB|MB|GB)$/, 'expected a number and a unit (kB, MB, GB), such as "50MB"')
  .transform((text) => Math.round(Number.parseFloat(text) * (UNIT_BYTES[text.replace(/[\d.]/g, '')] ?? 1)))
  .meta({ id: 'Bytes', examples: ['50MB'] })

const SPANS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
]

/** Milliseconds as a person writes them: `1h 5m`, `3s`, `250ms`. Two units at most. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`
  const parts: string[] = []
  let rest = ms
  for (const [size, unit] of SPANS) {
    const count = Math.floor(rest / size)
    if (count === 0) continue
    parts.push(`${count}${unit}`)
    rest -= count * size
    if (parts.length === 2) break
  }
  return parts.join(' ')
}
