import { VERDICT_REASONS } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Db } from '../db/db.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { limit, migrationParams, path, time } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { listBreaches } from './breach-store.ts'
import type { Monitor } from './monitor.ts'

const numbers = z
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
    numbers,
    path: path.optional(),
    operation: z.enum(['read', 'write']).optional(),
  })
  .meta({ id: 'TripwireVerdict' })

const breachSchema = z
  .object({
    id: z.number(),
    tripwire: z.string(),
    epoch: z.number(),
    action: z.string().describe('What was done: revert, pause, notify; refused; or dry-run'),
    reason: z.string(),
    explanation: z.string(),
    numbers,
    incident: z.string().optional(),
    beganAt: time,
    endedAt: time.optional(),
  })
  .meta({ id: 'Breach' })

export interface TripwireRoutesDeps {
  readonly db: Db
  readonly phases: PhaseService
  readonly monitor: Pick<Monitor, 'verdicts' | 'holds'>
}

/** What is measured, as the tripwires see it. */
export const tripwireRoutes = ({ db, phases, monitor }: TripwireRoutesDeps): readonly Route[] => [
  route({
    method: 'get',
    path: '/v1/migrations/{id}/tripwires',
    tag: 'migrations',
    permission: 'read',
    params: migrationParams,
    scopedBy: 'id',
    summary: 'What each tripwire says now, with the numbers it saw, and what was breached before',
    query: z.strictObject({ limit: limit(50) }),
    response: z.object({
      verdicts: z.array(verdictSchema),
      autopilotHeldBy: z.array(z.string()).describe('Why autopilot waits, where it does'),
      breaches: z.array(breachSchema).describe('Newest first'),
    }),
    problems: [404],
    handle: async ({ params: { id }, query }) => {
      const migration = await phases.get(id)
      if (migration === undefined) {
        throw new HttpProblem('unknown-migration', `There is no migration "${id}".`, {
          action: 'List them with GET /v1/migrations.',
        })
      }
      const verdicts = monitor.verdicts(migration).map(({ tripwire: _, ...shown }) => shown)
      const breaches = await listBreaches(db, id, query.limit)
      return { body: { verdicts, autopilotHeldBy: [...monitor.holds(migration)], breaches: [...breaches] } }
    },
  }),
]
