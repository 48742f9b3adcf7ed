import { z } from 'zod'
import { durationSchema } from './units.ts'

const name = z.string().min(1).max(200).optional()
const timeout = durationSchema
  .refine((ms) => ms >= 100 && ms <= 120_000, 'expected 100ms to 120s')
  .optional()
  .describe('How long it may take; 10s where not given')

export const checkSchema = z.union(
  [
    z.strictObject({
      name,
      sql: z
        .string()
        .min(1)
        .describe('One statement that gives one row with the value true; it cannot write'),
      timeout,
    }),
    z.strictObject({
      name,
      http: z.url({ protocol: /^https?$/ }).describe('Fetched with GET; redirects are not followed'),
      expect: z.int().min(100).max(599).default(200),
      contains: z.string().min(1).max(1000).optional().describe('Text that the answer must contain'),
      timeout,
    }),
    z.strictObject({
      name,
      command: z
        .array(z.string().min(1))
        .min(1)
        .describe('Program and arguments, no shell; must end with 0. Only where the server allows commands'),
      timeout,
    }),
  ],
  {
    error:
      'expected { sql: <statement that returns true> }, { http: <url>, expect: <status> } or { command: [<program>, …] }',
  },
)

/** What is looked at after a revert, beside the checks. */
export const afterRevertSchema = z.strictObject({
  settle: durationSchema
    .refine((ms) => ms >= 1000, 'expected at least 1s')
    .default(60_000)
    .describe('How long error rates must stay under the tripwires'),
  sample: z
    .int()
    .min(0)
    .max(100_000)
    .default(1000)
    .describe('Rows of old and new to compare where new has led; 0 for none'),
})

export type Check = z.output<typeof checkSchema>
export type AfterRevert = z.output<typeof afterRevertSchema>

/** A check as a person reads it. */
export function nameOfCheck(check: Check): string {
  if (check.name !== undefined) return check.name
  if ('sql' in check) return check.sql.replace(/\s+/g, ' ').slice(0, 100)
  return 'http' in check
    ? new URL(check.http).host + new URL(check.http).pathname
    : check.command.join(' ').slice(0, 100)
}
