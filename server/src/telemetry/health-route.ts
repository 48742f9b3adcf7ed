import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import { unknownMigration } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { migrationParams, time } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { type HealthSeries, SLOT_MS } from './health-series.ts'

const pathPoint = z.object({
  operations: z.int(),
  errorRate: z.number().describe('0 to 1'),
  p99Ms: z.number().optional(),
})

export interface HealthRouteDeps {
  readonly clock: Clock
  readonly phases: PhaseService
  readonly series: Pick<HealthSeries, 'of'>
}

/** What instances measured on old and on new over the last hour. */
export const healthRoute = ({ clock, phases, series }: HealthRouteDeps): Route =>
  route({
    method: 'get',
    path: '/v1/migrations/{id}/health',
    tag: 'migrations',
    permission: 'read',
    summary: 'Error rate and latency of old and new over time, as instances measured them',
    description: 'Of the last hour at most, and since this server has been running.',
    params: migrationParams,
    scopedBy: 'id',
    query: z.strictObject({
      minutes: z
        .string()
        .regex(/^([1-9]|[1-5]\d|60)$/, 'expected 1 to 60')
        .transform(Number)
        .default(30),
    }),
    response: z
      .object({
        at: time,
        slotMs: z.int(),
        points: z.array(
          z.object({
            at: time,
            epoch: z.int(),
            old: pathPoint.optional(),
            new: pathPoint.optional(),
            compared: z.int(),
            mismatches: z.int(),
            secondaryFailures: z.int(),
          }),
        ),
      })
      .meta({ id: 'Health' }),
    problems: [404],
    handle: async ({ params: { id }, query }) => {
      if ((await phases.get(id)) === undefined) throw unknownMigration(id)
      const at = clock()
      return { body: { at, slotMs: SLOT_MS, points: series.of(id, at - query.minutes * 60_000) } }
    },
  })
