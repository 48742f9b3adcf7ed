import { VERDICT_REASONS } from '@switchback/migrations-registry'
import { z } from 'zod'
import { path, time } from '../http/schemas.ts'
import type { StoredMigration } from '../phases/phase-service.ts'
import type { Monitor } from './monitor.ts'

export const numbersSchema = z
  .object({
    value: z.number().optional(),
    limit: z.number().optional(),
    samples: z.number().optional(),
    other: z.number().optional().describe('The same of the other path'),
    otherSamples: z.number().optional(),
    errors: z.record(z.string(), z.number()).optional().describe('Errors by class'),
    firstBadAt: time.optional().describe('When what failed began to, as far as the window reaches back'),
  })
  .meta({ id: 'TripwireNumbers' })

const verdictSchema = z
  .object({
    name: z.string(),
    outcome: z.enum(['breach', 'fine', 'inconclusive']),
    reason: z.enum(VERDICT_REASONS),
    explanation: z.string(),
    action: z.enum(['revert', 'pause', 'notify', 'none']).describe('What is done about it now'),
    numbers: numbersSchema,
    path: path.optional(),
    operation: z.enum(['read', 'write']).optional(),
  })
  .meta({ id: 'TripwireVerdict' })

/** What tripwires say of a migration, as the API shows it. */
export const watchedSchema = z.object({
  verdicts: z.array(verdictSchema).describe('What each tripwire says now'),
  autopilotHeldBy: z.array(z.string()).describe('Why autopilot waits, where it does'),
})

export type Watching = Pick<Monitor, 'verdicts' | 'holds'>

export const watchedView = (
  monitor: Watching,
  migration: StoredMigration,
): z.output<typeof watchedSchema> => ({
  verdicts: monitor.verdicts(migration).map(({ tripwire: _, ...shown }) => shown),
  autopilotHeldBy: migration.definition.autopilot ? [...monitor.holds(migration)] : [],
})
