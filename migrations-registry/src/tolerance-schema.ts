import { z } from 'zod'

const UNITS = ['second', 'millisecond'] as const

/** How far two values of one column may be apart and still count as equal. */
export const toleranceSchema = z.union(
  [
    z
      .strictObject({
        absolute: z.number().positive().optional(),
        relative: z.number().positive().max(1).optional(),
      })
      .refine(
        ({ absolute, relative }) => absolute !== undefined || relative !== undefined,
        'expected absolute, relative, or both',
      ),
    z.strictObject({ precision: z.enum(UNITS) }),
    z.literal('json'),
  ],
  {
    error:
      'expected { absolute: 0.01 } or { relative: 1e-9 } for numbers, { precision: millisecond } for times, or "json", which compares what is meant and not how it is written',
  },
)

export type Tolerance = z.output<typeof toleranceSchema>
