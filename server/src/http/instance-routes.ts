import { z } from 'zod'
import { type Fleet, INSTANCE_STATES } from '../fleet/fleet-port.ts'
import { authorizeScope, authorizeUnscoped } from './authenticate.ts'
import { HttpProblem } from './problem.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'
import { idParams, limit, reason, time } from './schemas.ts'

const instanceSchema = z
  .object({
    id: z.string(),
    app: z.string(),
    version: z.string(),
    server: z.string().describe('Server that it was last connected to'),
    registeredAt: time,
    lastSeen: time,
    leaseUntil: time,
    live: z.boolean(),
    migrations: z.record(
      z.string(),
      z.object({
        handlers: z.array(z.string()),
        fenced: z.boolean(),
        applied: z.int(),
        drained: z.int(),
        oldest: z.object({ kind: z.string(), ageMs: z.number() }).optional(),
      }),
    ),
  })
  .meta({ id: 'Instance' })

const name = z.string().min(1).max(200)

/** The fleet: who is out there, and taking one off the books. */
export function instanceRoutes({
  fleet,
}: {
  readonly fleet: Pick<Fleet, 'list' | 'forget'>
}): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/instances',
      tag: 'instances',
      permission: 'read',
      summary: 'Registered instances with their leases and epochs, by id',
      description:
        'A token for certain migrations is shown the instances that have to do with one of those, and of each no other migration.',
      query: z.strictObject({
        app: name.optional(),
        migration: name.optional(),
        search: name.optional().describe('Part of an id'),
        state: z
          .enum(INSTANCE_STATES)
          .optional()
          .describe('`behind`: live, and not drained the present epoch yet'),
        after: name.optional().describe('Id of the last one of the page before'),
        limit: limit(100),
      }),
      response: z.object({
        instances: z.array(instanceSchema),
        next: z.string().optional().describe('Give this as `after` for the next page'),
      }),
      handle: async ({ query }, { principal }) => {
        const { app, migration, after, search, state } = query
        if (migration !== undefined) authorizeScope(principal, migration)
        const { migrations: scope } = principal
        const found = await fleet.list({
          limit: query.limit + 1,
          ...(app === undefined ? {} : { app }),
          ...(migration === undefined ? {} : { migration }),
          ...(search === undefined ? {} : { search }),
          ...(state === undefined ? {} : { state }),
          ...(after === undefined ? {} : { after }),
          ...(scope === undefined ? {} : { scope }),
        })
        const instances = found.slice(0, query.limit)
        const next = found.length > query.limit ? instances.at(-1)?.id : undefined
        return { body: { instances, ...(next === undefined ? {} : { next }) } }
      },
    }),
    route({
      method: 'delete',
      path: '/v1/instances/{id}',
      tag: 'instances',
      permission: 'administer',
      summary: 'Forgets an instance that is gone for good',
      description:
        'The gate no longer waits for it. If it is still at work after all, its writes are stopped by the fence; its reads are not.',
      status: 204,
      params: idParams,
      body: z.strictObject({ reason }),
      problems: [404],
      handle: async ({ params: { id }, body }, { principal }) => {
        authorizeUnscoped(principal)
        if (!(await fleet.forget(id, body.reason, principal.name))) {
          throw new HttpProblem('unknown-instance', `There is no instance "${id}".`, {
            action: 'List them with GET /v1/instances.',
          })
        }
        return {}
      },
    }),
  ]
}
