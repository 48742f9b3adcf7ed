import { SIGNAL_REASONS } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { authorizeScope, authorizeUnscoped } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Immutable, Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { idParams, limit, path, time } from '../http/schemas.ts'
import { alertmanagerSchema, signalsOfAlertmanager } from '../receivers/alertmanager.ts'
import { plainAlertSchema, signalOfPlain } from '../receivers/plain.ts'
import type { AlertInbox } from './alert-inbox.ts'
import type { StoredAlert } from './alert-store.ts'
import { findAlert, listAlerts, migrationOf } from './alert-store.ts'
import type { Replay } from './dead-letters.ts'

const action = z.enum(['revert', 'pause', 'notify', 'none'])

const receivedSchema = z
  .object({
    accepted: z.array(
      z.object({
        id: z.string(),
        duplicate: z.boolean().describe('Whether this delivery was known already'),
      }),
    ),
  })
  .meta({ id: 'AlertsReceived' })

const signalSchema = z.object({
  source: z.string(),
  name: z.string(),
  status: z.enum(['firing', 'resolved']),
  labels: z.record(z.string(), z.string()),
  summary: z.string().optional(),
  link: z.string().optional().describe('Where the alert is shown in the system that sent it'),
  startedAt: time,
  epoch: z.int().optional(),
  path: path.optional(),
  operation: z.enum(['read', 'write']).optional(),
  measured: z
    .object({ errorRate: z.number(), samples: z.int(), window: z.number().describe('Milliseconds') })
    .optional(),
})

const alertSchema = z
  .object({
    id: z.string(),
    signal: signalSchema,
    receivedAt: time,
    status: z.enum(['received', 'decided', 'dead']),
    migration: z.string().optional(),
    action: action.optional().describe('What was done'),
    reason: z.enum(SIGNAL_REASONS).optional(),
    explanation: z.string().optional(),
    incident: z.string().optional(),
    duplicates: z.int().describe('How often the same delivery came again'),
    attempts: z.int().describe('How often deciding about it failed'),
    error: z.string().optional().describe('What failed last'),
    decidedAt: time.optional(),
  })
  .meta({ id: 'Alert' })

/** Without what is the inbox's own affair: the key by which deliveries are told apart. */
function view({ signal, ...alert }: StoredAlert): Immutable<z.input<typeof alertSchema>> {
  const { dedupKey: _, receivedAt: __, migration: ___, ...shown } = signal
  return { ...alert, signal: shown }
}

export interface AlertRoutesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly inbox: Pick<AlertInbox, 'receive'>
  readonly replay: Replay
}

/** Where alerts are delivered, and what came of them. */
export function alertRoutes({ db, clock, newId, inbox, replay }: AlertRoutesDeps): readonly Route[] {
  const common = { tag: 'alerts' } as const
  const receiving = {
    ...common,
    method: 'post',
    permission: 'alert',
    status: 202,
    response: receivedSchema,
  } as const
  return [
    route({
      ...receiving,
      path: '/v1/alerts',
      summary: 'Delivers a measured error rate',
      description: 'Answered as soon as it is kept; see GET /v1/alerts/{id} for what is made of it.',
      body: plainAlertSchema,
      handle: async ({ body }, { principal, raw }) => {
        authorizeScope(principal, body.migration)
        const signal = signalOfPlain(body, raw, clock(), newId('once'))
        return { body: { accepted: await inbox.receive([signal], principal) } }
      },
    }),
    route({
      ...receiving,
      path: '/v1/alerts/alertmanager',
      summary: 'Receives the webhook of Alertmanager, version 4',
      description:
        'Each alert is kept by itself. The label `migration` says what it is about; without one, tripwires that match its labels do. Labels `epoch`, `path` and `operation` make it more exact.',
      body: alertmanagerSchema,
      handle: async ({ body }, { principal }) => ({
        body: { accepted: await inbox.receive(signalsOfAlertmanager(body, clock()), principal) },
      }),
    }),
    route({
      ...common,
      method: 'get',
      path: '/v1/alerts',
      permission: 'read',
      summary: 'Alerts with what was decided and why, newest first',
      description:
        'A token for certain migrations is told of alerts about those; not of alerts that are about no migration.',
      query: z.strictObject({
        migration: z.string().min(1).max(200).optional(),
        action: action.optional(),
        status: z.enum(['received', 'decided', 'dead']).optional(),
        limit: limit(100),
      }),
      response: z.object({ alerts: z.array(alertSchema) }),
      handle: async ({ query }, { principal }) => {
        const { migration, action: done, status } = query
        if (migration !== undefined) authorizeScope(principal, migration)
        const { migrations: scope } = principal
        const alerts = await listAlerts(db, {
          limit: query.limit,
          ...(migration === undefined ? {} : { migration }),
          ...(done === undefined ? {} : { action: done }),
          ...(status === undefined ? {} : { status }),
          ...(scope === undefined ? {} : { scope }),
        })
        return { body: { alerts: alerts.map(view) } }
      },
    }),
    route({
      ...common,
      method: 'get',
      path: '/v1/alerts/{id}',
      permission: 'read',
      summary: 'One alert',
      params: idParams,
      response: alertSchema,
      problems: [404],
      handle: async ({ params: { id } }, { principal }) => {
        const alert = await findAlert(db, id)
        if (alert === undefined) throw new HttpProblem('unknown-alert', `There is no alert "${id}".`)
        const about = migrationOf(alert)
        if (about === undefined) authorizeUnscoped(principal)
        else authorizeScope(principal, about)
        return { body: view(alert) }
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/alerts/{id}/replay',
      permission: 'operate',
      summary:
        'Takes up a dead alert again: reads it anew where it could not be read, decides it anew elsewhere',
      params: idParams,
      response: receivedSchema,
      problems: [404, 409, 422],
      handle: async ({ params: { id } }, { principal }) => {
        authorizeUnscoped(principal)
        return { body: { accepted: await replay(id, principal.name) } }
      },
    }),
  ]
}
