import { z } from 'zod'
import type { Db } from '../db/db.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { limit, migrationParams, time } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { listBreaches } from './breach-store.ts'
import { numbersSchema, type Watching, watchedSchema, watchedView } from './verdict-view.ts'

const breachSchema = z
  .object({
    id: z.number(),
    tripwire: z.string(),
    epoch: z.number(),
    action: z.string().describe('What was done: revert, pause, notify; refused; or dry-run'),
    reason: z.string(),
    explanation: z.string(),
    numbers: numbersSchema,
    incident: z.string().optional(),
    beganAt: time,
    endedAt: time.optional(),
  })
  .meta({ id: 'Breach' })

export interface TripwireRoutesDeps {
  readonly db: Db
  readonly phases: PhaseService
  readonly monitor: Watching
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
    response: watchedSchema.extend({
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
      const breaches = await listBreaches(db, id, query.limit)
      return { body: { ...watchedView(monitor, migration), breaches: [...breaches] } }
    },
  }),
]
