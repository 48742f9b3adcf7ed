import { PHASES } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { Queryable } from '../db/db.ts'
import { unknownMigration } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { migrationParams, time } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { epochChanges } from './epoch-changes.ts'
import { SLOT_MS } from './health-slots.ts'
import { HISTORY_KEPT_MS, healthSince } from './health-store.ts'

const pathPoint = z.object({
  operations: z.int(),
  errorRate: z.number().describe('0 to 1'),
  p99Ms: z.number().optional(),
})

const MAX_MINUTES = HISTORY_KEPT_MS / 60_000

/** A chart has some hundred points, however long it reaches back. */
export function stepFor(minutes: number): number {
  if (minutes <= 60) return SLOT_MS
  if (minutes <= 180) return 3 * SLOT_MS
  return 300_000 * Math.ceil(minutes / 5 / 340)
}

export interface HealthRouteDeps {
  readonly db: Queryable
  readonly clock: Clock
  readonly phases: PhaseService
}

/** What instances measured on old and on new, for as long as it is kept. */
export const healthRoute = ({ db, clock, phases }: HealthRouteDeps): Route =>
  route({
    method: 'get',
    path: '/v1/migrations/{id}/health',
    tag: 'migrations',
    permission: 'read',
    summary: 'Error rate and latency of old and new over time, as instances measured them',
    description:
      'The same on every server. Steps of ten seconds for an hour, of five minutes and more beyond three hours; kept for 14 days.',
    params: migrationParams,
    scopedBy: 'id',
    query: z.strictObject({
      minutes: z
        .string()
        .regex(/^[1-9]\d{0,4}$/, `expected 1 to ${MAX_MINUTES}`)
        .transform(Number)
        .refine((minutes) => minutes <= MAX_MINUTES, `expected 1 to ${MAX_MINUTES}`)
        .default(30),
    }),
    response: z
      .object({
        at: time,
        slotMs: z.int().describe('Length of one step'),
        points: z.array(
          z.object({
            at: time.describe('End of the step'),
            epoch: z.int(),
            old: pathPoint.optional(),
            new: pathPoint.optional(),
            compared: z.int(),
            mismatches: z.int(),
            secondaryFailures: z.int(),
          }),
        ),
        changes: z
          .array(z.object({ at: time, epoch: z.int(), phase: z.enum(PHASES), revert: z.boolean() }))
          .describe('When which epoch began, oldest first'),
      })
      .meta({ id: 'Health' }),
    problems: [404],
    handle: async ({ params: { id }, query }) => {
      if ((await phases.get(id)) === undefined) throw unknownMigration(id)
      const at = clock()
      const since = at - query.minutes * 60_000
      const slotMs = stepFor(query.minutes)
      const [points, changes] = await Promise.all([
        healthSince(db, id, since, slotMs),
        epochChanges(db, id, since),
      ])
      return { body: { at, slotMs, points, changes } }
    },
  })
