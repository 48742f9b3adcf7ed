import {
  heartbeatSchema,
  registrationSchema,
  type Telemetry,
  telemetrySchema,
} from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Fleet, FleetResult } from '../fleet/fleet-port.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { idParams } from '../http/schemas.ts'
import { visibleTo } from '../push/visible-to.ts'
import { ownTelemetry } from '../telemetry/in-scope.ts'
import { type SnapshotRouteDeps, snapshotBody, snapshotRoute } from './snapshot-route.ts'

export interface PollingRoutesDeps extends SnapshotRouteDeps {
  readonly fleet: Pick<Fleet, 'register' | 'heartbeat' | 'goodbye'>
  /** Takes measurements; must not throw. */
  readonly telemetry: (telemetry: Telemetry) => void
}

const times = {
  heartbeatMs: z.number().describe('How often to send a heartbeat, in ms'),
  leaseMs: z.number().describe('How long the instance counts as alive from now on, in ms'),
}

const NOTHING_NEW = { revision: 0, positions: {} }

/** A request carries what a socket keeps: which process speaks. Any server may take any of them. */
const message = {
  method: 'post',
  tag: 'sdk',
  permission: 'connect',
  params: idParams,
  query: z.strictObject({
    incarnation: z.string().min(1).max(200).describe('As in the registration of the process that speaks'),
  }),
  problems: [404, 409],
} as const

/** The conversation of the socket as requests, for instances that cannot hold one: the same bodies, the same rules. */
export function pollingRoutes(deps: PollingRoutesDeps): readonly Route[] {
  const { fleet, snapshots, telemetry } = deps
  return [
    snapshotRoute(deps),
    route({
      method: 'post',
      path: '/v1/sdk/register',
      tag: 'sdk',
      permission: 'connect',
      summary: 'Registers an instance, or registers it again',
      description:
        'Answers 409 where the instance cannot be taken on; `retryable` says whether trying again can help. A token for certain migrations speaks of those alone: an instance that names others is refused as a whole (`out-of-scope`).',
      body: registrationSchema.meta({ id: 'InstanceRegistration' }),
      response: z.object({ snapshot: snapshotBody, ...times }),
      problems: [409],
      handle: async ({ body }, { principal }) => {
        const taken = takenOrThrow(await fleet.register(body, principal))
        return { body: { ...taken, snapshot: visibleTo(principal, await snapshots.fresh()) } }
      },
    }),
    route({
      ...message,
      path: '/v1/sdk/instances/{id}/heartbeat',
      summary: 'Renews the lease of an instance, with its positions',
      description: 'Answers 404 where the process is not registered (any more): register again.',
      body: heartbeatSchema.meta({ id: 'Heartbeat' }),
      response: z.object({
        revision: z.int().describe('Newest revision; a greater one than held: fetch the snapshot'),
        leaseMs: times.leaseMs,
      }),
      handle: async ({ params: { id }, query: { incarnation }, body }, { principal }) => {
        const { leaseMs } = takenOrThrow(await fleet.heartbeat(id, incarnation, body, principal))
        return { body: { leaseMs, revision: (await snapshots.fresh()).revision } }
      },
    }),
    route({
      ...message,
      path: '/v1/sdk/instances/{id}/progress',
      summary: 'Reports positions that have just changed: epochs applied and drained',
      status: 204,
      body: heartbeatSchema.meta({ id: 'Heartbeat' }),
      handle: async ({ params: { id }, query: { incarnation }, body }, { principal }) => {
        takenOrThrow(await fleet.heartbeat(id, incarnation, body, principal))
        return {}
      },
    }),
    route({
      ...message,
      path: '/v1/sdk/instances/{id}/telemetry',
      summary: 'Delivers measurements',
      status: 204,
      body: telemetrySchema.meta({ id: 'Telemetry' }),
      handle: async ({ params: { id }, query: { incarnation }, body }, { principal }) => {
        // Whether the process is registered is asked by what also proves that it lives.
        takenOrThrow(await fleet.heartbeat(id, incarnation, NOTHING_NEW, principal))
        telemetry(ownTelemetry(principal, body))
        return {}
      },
    }),
    route({
      ...message,
      path: '/v1/sdk/instances/{id}/goodbye',
      summary: 'Takes the instance off the books: nothing of it is in flight',
      status: 204,
      body: heartbeatSchema.meta({ id: 'Heartbeat' }),
      handle: async ({ params: { id }, query: { incarnation }, body }, { principal }) => {
        takenOrThrow(await fleet.goodbye(id, incarnation, body, principal))
        return {}
      },
    }),
  ]
}

function takenOrThrow<T>(result: FleetResult<T>): T {
  if (result.ok) return result.value
  const { code, message: detail, retryable } = result.error
  throw new HttpProblem(code, detail, { retryable })
}
