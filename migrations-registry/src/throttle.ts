import { z } from 'zod'
import { bytesSchema, durationSchema } from './units.ts'

/** What holds copying and comparing back. A signal that is set here and cannot be read holds back too. */
/** Where nothing is said: an application's p99 may be this many times what it is without copying. */
export const LATENCY_FACTOR = 1.3

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
    latencyFactor: z
      .union([z.number().min(1.05).max(100), z.literal('off').transform(() => null)])
      .optional()
      .describe("How many times what it is without copying the application's p99 may become; 1.3 by default"),
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
  latencyFactor: z.number().min(1.05).max(100).nullable().optional(),
})

export type ThrottleChange = z.output<typeof throttleChangeSchema>

/**
 * The limits that hold: those of the definition, with what a person has set since. `latencyFactor` stays null where
 * it was taken off, for without a word of it there is a default.
 */
export function throttleOf(defined: Throttle | undefined, set: ThrottleChange | undefined): Throttle {
  const all = Object.entries({ ...defined, ...set })
  return Object.fromEntries(
    all.filter(([name, value]) => value !== undefined && (value !== null || name === 'latencyFactor')),
  )
}
