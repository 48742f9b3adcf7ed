import { z } from 'zod'
import { bytesSchema, durationSchema } from './units.ts'

/** What holds copying and comparing back. A signal that is set here and cannot be read holds back too. */
export const throttleSchema = z
  .strictObject({
    rowsPerSecond: z.int().min(1).optional().describe('Rows copied in a second at most'),
    replicationLag: durationSchema.optional().describe('How far the slowest replica may be behind'),
    longTransaction: durationSchema.optional().describe('How old a transaction in the target may be'),
    lockWaits: z
      .int()
      .min(0)
      .optional()
      .describe('How many sessions of others may wait for locks in the target'),
    autovacuum: z.boolean().optional().describe('Whether to wait while either table is vacuumed'),
    walRate: bytesSchema.optional().describe('WAL written in a second, by everybody'),
    latencyP99: durationSchema.optional().describe("The application's own p99 on old"),
  })
  .describe('What holds copying and comparing back')

export type Throttle = z.output<typeof throttleSchema>

/** What a person sets while the work runs; null takes a limit of the definition off. */
export const throttleChangeSchema = z.strictObject({
  rowsPerSecond: throttleSchema.shape.rowsPerSecond.nullable(),
  replicationLag: throttleSchema.shape.replicationLag.nullable(),
  longTransaction: throttleSchema.shape.longTransaction.nullable(),
  lockWaits: throttleSchema.shape.lockWaits.nullable(),
  autovacuum: throttleSchema.shape.autovacuum.nullable(),
  walRate: throttleSchema.shape.walRate.nullable(),
  latencyP99: throttleSchema.shape.latencyP99.nullable(),
})

export type ThrottleChange = z.output<typeof throttleChangeSchema>

/** The limits that hold: those of the definition, with what a person has set since. */
export function throttleOf(defined: Throttle | undefined, set: ThrottleChange | undefined): Throttle {
  const all = Object.entries({ ...defined, ...set })
  return Object.fromEntries(all.filter(([, value]) => value !== null && value !== undefined))
}
