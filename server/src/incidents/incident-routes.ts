import { z } from 'zod'
import { authorizeScope } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { idParams, incidentSchema, limit, time } from '../http/schemas.ts'
import { incidentFor } from './incident-for.ts'
import type { Incidents } from './incidents.ts'

const timeline = z.array(
  z.object({ at: time, kind: z.string(), message: z.string(), detail: z.record(z.string(), z.unknown()) }),
)

/** Reverts, as they are told afterwards. */
export function incidentRoutes({
  incidents,
}: {
  readonly incidents: Pick<Incidents, 'list' | 'get' | 'acknowledge'>
}): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/incidents',
      tag: 'incidents',
      permission: 'read',
      summary: 'Incidents, newest first',
      description: 'A token for certain migrations is told of the incidents of those.',
      query: z.strictObject({
        migration: z.string().min(1).max(200).optional(),
        status: z.enum(['open', 'resolved']).optional(),
        limit: limit(100),
      }),
      response: z.object({ incidents: z.array(incidentSchema) }),
      handle: async ({ query }, { principal }) => {
        const { migration, status } = query
        if (migration !== undefined) authorizeScope(principal, migration)
        const { migrations: scope } = principal
        const found = await incidents.list({
          limit: query.limit,
          ...(migration === undefined ? {} : { migration }),
          ...(status === undefined ? {} : { status }),
          ...(scope === undefined ? {} : { scope }),
        })
        return { body: { incidents: found } }
      },
    }),
    route({
      method: 'get',
      path: '/v1/incidents/{id}',
      tag: 'incidents',
      permission: 'read',
      summary: 'One incident with its timeline',
      params: idParams,
      response: incidentSchema.extend({ timeline }).meta({ id: 'IncidentDetail' }),
      problems: [404],
      handle: async ({ params: { id } }, { principal }) => ({
        body: await incidentFor(incidents, id, principal),
      }),
    }),
    route({
      method: 'post',
      path: '/v1/incidents/{id}/ack',
      tag: 'incidents',
      permission: 'operate',
      summary: 'Says that one sees to it: nobody further is called',
      params: idParams,
      response: incidentSchema.extend({ timeline }),
      problems: [404, 409],
      handle: async ({ params: { id } }, { principal }) => {
        const before = await incidentFor(incidents, id, principal)
        const done = await incidents.acknowledge(id, principal.name)
        if (done === 'already') {
          throw new HttpProblem('already-acknowledged', `${before.ackedBy ?? 'Somebody'} sees to it already.`)
        }
        return { body: await incidentFor(incidents, id, principal) }
      },
    }),
  ]
}
