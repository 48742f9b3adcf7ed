import { migrationIdSchema } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { authorizeUnscoped } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { idParams, limit, time } from '../http/schemas.ts'
import { concerning, OWN_ALONE } from '../tokens/concerning.ts'
import { CHANNEL_KINDS } from './channel-store.ts'
import type { Channels } from './channels.ts'
import { NOTICE_KINDS } from './notice.ts'
import { listNotifications, retryNotification } from './outbox-store.ts'

const name = z
  .string()
  .regex(/^[#@\w][\w.#@ -]{0,79}$/, 'expected letters, digits and . - _, perhaps after # or @')
  .describe('Contacts of definitions name channels by it, such as "#riders-oncall"')

const events = z.array(z.enum(NOTICE_KINDS)).min(1).max(NOTICE_KINDS.length).optional()
const migrations = z.array(migrationIdSchema).min(1).max(1000).optional()
const address = z.string().regex(/^[^\s@,;<>]{1,64}@[^\s@,;<>]{1,250}$/, 'expected an e-mail address')

const newChannelSchema = z
  .strictObject({
    name,
    kind: z.enum(CHANNEL_KINDS),
    url: z
      .string()
      .min(1)
      .max(2000)
      .optional()
      .describe('Where to: of the chat, of the webhook, `smtps://user:password@host` for e-mail'),
    key: z
      .string()
      .min(8)
      .max(500)
      .optional()
      .describe('Routing key of PagerDuty; secret of a webhook, made where not given'),
    from: address.optional(),
    to: z.array(address).min(1).max(50).optional(),
    events: events.describe('Only these kinds of notices; all where not given'),
    migrations: migrations.describe('Only about these; all where not given'),
  })
  .meta({ id: 'NewChannel' })

const channelSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(CHANNEL_KINDS),
    settings: z.object({
      url: z.string().optional(),
      from: z.string().optional(),
      to: z.array(z.string()).optional(),
    }),
    events: z.array(z.enum(NOTICE_KINDS)).optional(),
    migrations: z.array(z.string()).optional(),
    createdAt: time,
    createdBy: z.string(),
  })
  .meta({ id: 'Channel' })

const notificationSchema = z
  .object({
    id: z.string(),
    channel: z.string(),
    recipient: z.string().optional(),
    notice: z.object({
      kind: z.enum(NOTICE_KINDS),
      severity: z.enum(['critical', 'warning', 'info']),
      title: z.string(),
      text: z.string(),
      at: time,
      migration: z.string().optional(),
      incident: z.string().optional(),
      facts: z.array(z.object({ name: z.string(), value: z.string() })),
      links: z.array(z.object({ title: z.string(), url: z.string() })),
    }),
    status: z.enum(['pending', 'sent', 'failed']),
    attempts: z.int(),
    error: z.string().optional(),
    createdAt: time,
    sentAt: time.optional(),
  })
  .meta({ id: 'Notification' })

export interface ChannelRoutesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly channels: Omit<Channels, 'send'>
}

const unknownChannel = (given: string): HttpProblem =>
  new HttpProblem('unknown-channel', `There is no channel "${given}".`, {
    action: 'List them with GET /v1/channels.',
  })

/** Where notices go, and what became of each. */
export function channelRoutes({ db, clock, channels }: ChannelRoutesDeps): readonly Route[] {
  const common = { tag: 'notifications', permission: 'administer' } as const
  const params = z.object({ name })
  return [
    route({
      ...common,
      method: 'get',
      path: '/v1/channels',
      summary: 'All channels, without their secrets',
      description: OWN_ALONE,
      response: z.object({ channels: z.array(channelSchema) }),
      handle: async (_input, { principal }) => ({
        body: { channels: concerning(principal, await channels.list()) },
      }),
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/channels',
      summary: 'Makes a channel; addresses of chats and keys are not shown again',
      status: 201,
      body: newChannelSchema,
      response: channelSchema
        .extend({ key: z.string().optional().describe('What was made; shown this once') })
        .meta({ id: 'MadeChannel' }),
      problems: [409],
      handle: async ({ body }, { principal }) => {
        authorizeUnscoped(principal)
        const made = await channels.create(body, principal.name)
        if (!made.ok) throw new HttpProblem(made.why, made.message)
        const { channel, key } = made
        return {
          headers: { 'Cache-Control': 'no-store' },
          body: { ...channel, ...(key === undefined ? {} : { key }) },
        }
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/channels/{name}/test',
      summary: 'Sends a test at once, and tells whether it arrived',
      params,
      response: z.object({ sent: z.boolean(), error: z.string().optional() }),
      problems: [404],
      handle: async ({ params: { name: given } }, { principal }) => {
        authorizeUnscoped(principal)
        const result = await channels.test(given, principal.name)
        if (result === undefined) throw unknownChannel(given)
        return { body: result }
      },
    }),
    route({
      ...common,
      method: 'delete',
      path: '/v1/channels/{name}',
      summary: 'Removes a channel, with what waits to be sent there',
      status: 204,
      params,
      problems: [404],
      handle: async ({ params: { name: given } }, { principal }) => {
        authorizeUnscoped(principal)
        if (!(await channels.remove(given, principal.name))) throw unknownChannel(given)
        return {}
      },
    }),
    route({
      ...common,
      permission: 'read',
      method: 'get',
      path: '/v1/notifications',
      summary: 'What was told to whom, newest first',
      description: 'A token for certain migrations is told of notices about those.',
      query: z.strictObject({
        status: z.enum(['pending', 'sent', 'failed']).optional(),
        incident: z.string().min(1).max(200).optional(),
        limit: limit(100),
      }),
      response: z.object({ notifications: z.array(notificationSchema) }),
      handle: async ({ query }, { principal }) => {
        const { status, incident } = query
        const { migrations: scope } = principal
        const found = await listNotifications(db, {
          limit: query.limit,
          ...(status === undefined ? {} : { status }),
          ...(incident === undefined ? {} : { incident }),
          ...(scope === undefined ? {} : { scope }),
        })
        return { body: { notifications: found } }
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/notifications/{id}/retry',
      summary: 'Sends a notice again that was given up',
      status: 202,
      params: idParams,
      problems: [404],
      handle: async ({ params: { id } }, { principal }) => {
        authorizeUnscoped(principal)
        if (!(await retryNotification(db, id, clock()))) {
          throw new HttpProblem('not-found', `There is no notice "${id}" that was given up.`, {
            action: 'List them with GET /v1/notifications?status=failed.',
          })
        }
        return {}
      },
    }),
  ]
}
