import { z } from 'zod'

const SPAN = /^([1-9]\d{0,5}) (hour|day|week|month|year)s?$/

/** By which ranges of values a very large table is gone through. */
export const rangesSchema = z
  .strictObject({
    by: z
      .string()
      .min(1)
      .describe(
        'SQL expression over the old table whose ranges are done one after the other: an id or a time',
      ),
    every: z
      .union([z.int().min(1), z.string().regex(SPAN)], {
        error: 'expected a number of ids, such as 10000000, or a span of the calendar, such as "1 month"',
      })
      .describe('How much one range holds: a number, or hours, days, weeks, months or years (in UTC)'),
    order: z.enum(['oldest-first', 'newest-first']).default('oldest-first'),
  })
  .describe('Work range after range, each with its own progress; for very large tables')

export type Ranges = z.output<typeof rangesSchema>

export interface CalendarSpan {
  readonly count: number
  readonly unit: 'hour' | 'day' | 'week' | 'month' | 'year'
}

/** The span that `every` names; undefined where it is a number. */
export function calendarSpan(every: Ranges['every']): CalendarSpan | undefined {
  if (typeof every === 'number') return undefined
  const [, count, unit] = SPAN.exec(every) ?? []
  return { count: Number(count), unit: unit as CalendarSpan['unit'] }
}
