import { runbookOf } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { FleetReader } from '../fleet/fleet-port.ts'
import { authorizeScope } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { idParams, migrationParams } from '../http/schemas.ts'
import { communicationsOf } from '../incidents/communications.ts'
import { incidentFor } from '../incidents/incident-for.ts'
import type { Incidents } from '../incidents/incidents.ts'
import { reportOf } from '../incidents/report.ts'
import type { OpenRepairs, PhaseService, StoredMigration } from '../phases/phase-service.ts'
import { readStats, saveSatisfaction } from './stats.ts'

const MARKDOWN = 'text/markdown; charset=utf-8'

const count = z.int()
const statsSchema = z
  .object({
    migrations: z.object({
      total: count,
      completed: count,
      underWay: count,
      reverted: count.describe('Reverted, and not completed since'),
      successRate: z.number().optional().describe('Completed, of those completed or reverted'),
    }),
    reverts: z.object({
      total: count,
      byCause: z.record(z.string(), count),
      refused: count,
      timeToRollback: z
        .object({ p50: z.number(), p99: z.number(), max: z.number() })
        .optional()
        .describe('Milliseconds from the first sign to the last instance'),
      verified: z.object({ verified: count, failed: count, inconclusive: count }),
    }),
    downtime: z
      .object({ served: count, failed: count })
      .describe('Operations that new served, and how many failed; shadow reads of a ramp among them'),
    corruptionIncidents: count,
    satisfaction: z.object({ answers: count, mean: z.number().optional().describe('1 to 5') }),
  })
  .meta({ id: 'Stats' })

export interface ReviewRoutesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly phases: PhaseService
  readonly fleet: FleetReader
  readonly incidents: Pick<Incidents, 'get'>
  readonly repairs: (migration: StoredMigration) => Promise<OpenRepairs | undefined>
}

/** What is made of everything that is written down: runbooks, reports, figures. */
export function reviewRoutes(deps: ReviewRoutesDeps): readonly Route[] {
  const { db, clock, phases, fleet, incidents, repairs } = deps

  return [
    route({
      method: 'get',
      path: '/v1/migrations/{id}/runbook',
      tag: 'migrations',
      permission: 'read',
      summary: 'What can be done from here, by which commands, how long it takes and until when; in Markdown',
      params: migrationParams,
      scopedBy: 'id',
      produces: MARKDOWN,
      problems: [404],
      handle: async ({ params: { id } }) => {
        const migration = await phases.get(id)
        if (migration === undefined) {
          throw new HttpProblem('unknown-migration', `There is no migration "${id}".`)
        }
        const gate = await phases.gate(id).catch(() => undefined)
        const content = runbookOf(migration.definition, migration.state, { now: clock(), gate })
        return { text: { type: MARKDOWN, content } }
      },
    }),
    route({
      method: 'get',
      path: '/v1/incidents/{id}/report',
      tag: 'incidents',
      permission: 'read',
      summary: 'The report of an incident, in Markdown',
      params: idParams,
      produces: MARKDOWN,
      problems: [404],
      handle: async ({ params: { id } }, { principal }) => {
        const incident = await incidentFor(incidents, id, principal)
        const migration = await phases.get(incident.migration)
        const instances = await fleet.factsFor(db, incident.migration, [])
        const content = reportOf({
          incident,
          timeline: incident.timeline,
          definition: migration?.definition,
          instances: instances.filter((instance) => instance.handlers.length > 0),
          repairs: migration === undefined ? undefined : await repairs(migration).catch(() => undefined),
        })
        return { text: { type: MARKDOWN, content } }
      },
    }),
    route({
      method: 'get',
      path: '/v1/incidents/{id}/communications',
      tag: 'incidents',
      permission: 'read',
      summary: 'Texts for a status page, one for each stage',
      params: idParams,
      response: z
        .object({
          investigating: z.string(),
          identified: z.string(),
          reverted: z.string(),
          resolved: z.string(),
        })
        .meta({ id: 'Communications' }),
      problems: [404],
      handle: async ({ params: { id } }, { principal }) => ({
        body: communicationsOf(await incidentFor(incidents, id, principal)),
      }),
    }),
    route({
      method: 'get',
      path: '/v1/stats',
      tag: 'stats',
      permission: 'read',
      summary: 'How migrations went: success, time to rollback, downtime, corruption, satisfaction',
      description: 'A token for certain migrations is told how those went.',
      query: z.strictObject({ migration: migrationParams.shape.id.optional() }),
      response: statsSchema,
      handle: async ({ query: { migration } }, { principal }) => {
        if (migration !== undefined) authorizeScope(principal, migration)
        return { body: await readStats(db, migration === undefined ? principal.migrations : [migration]) }
      },
    }),
    route({
      method: 'post',
      path: '/v1/migrations/{id}/satisfaction',
      tag: 'stats',
      permission: 'operate',
      summary: 'Says how a completed migration went, from 1 to 5',
      status: 204,
      params: migrationParams,
      scopedBy: 'id',
      body: z.strictObject({ score: z.int().min(1).max(5), comment: z.string().min(1).max(1000).optional() }),
      problems: [404, 409],
      handle: async ({ params: { id }, body: { score, comment } }, { principal }) => {
        const migration = await phases.get(id)
        if (migration === undefined) {
          throw new HttpProblem('unknown-migration', `There is no migration "${id}".`)
        }
        const { state, definition } = migration
        const last = definition.copy === undefined ? 'expanded' : 'contracted'
        if (state.phase !== last) {
          throw new HttpProblem('gate-closed', `${id} stands at ${state.phase}, and is not completed.`, {
            action: `Say so once it is ${last}.`,
          })
        }
        const said = {
          migration: id,
          score,
          by: principal.name,
          ...(comment === undefined ? {} : { comment }),
        }
        await saveSatisfaction(db, said, clock())
        return {}
      },
    }),
  ]
}
