import { migrationIdSchema } from '@switchback/migrations-registry'
import { z } from 'zod'
import { authorizeUnscoped } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Reply, Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { time } from '../http/schemas.ts'
import { SOURCE_KINDS } from '../receivers/receivers.ts'
import { concerning, OWN_ALONE } from '../tokens/concerning.ts'
import type { AlertSource } from './source-store.ts'
import type { SourceChange, Sources } from './sources.ts'

export const sourceName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,47}$/, 'expected lower-case letters, digits and dashes, such as "grafana-prod"')

const secret = z.string().min(1).max(500)

const newSourceSchema = z
  .strictObject({
    name: sourceName.describe('Becomes part of the address: /v1/hooks/<name>'),
    kind: z.enum(SOURCE_KINDS),
    migrations: z
      .array(migrationIdSchema)
      .min(1)
      .max(1000)
      .optional()
      .describe('May speak for these only. Where it is one, alerts that name none are about that one'),
    secret: secret
      .optional()
      .describe('Where the alerting system makes it (Sentry, PagerDuty); elsewhere one is made'),
    topics: z
      .array(
        z
          .string()
          .regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]{1,256}$/, 'expected the ARN of a topic'),
      )
      .min(1)
      .max(100)
      .optional()
      .describe('CloudWatch: the SNS topics that are believed'),
  })
  .refine((source) => (source.kind === 'cloudwatch') === (source.topics !== undefined), {
    path: ['topics'],
    message: 'expected the topics of a source of the kind cloudwatch, and of no other',
  })
  .meta({ id: 'NewAlertSource' })

const sourceSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(SOURCE_KINDS),
    settings: z.object({ topics: z.array(z.string()).optional() }),
    migrations: z.array(z.string()).optional(),
    path: z.string().describe('Where it delivers'),
    createdAt: time,
    createdBy: z.string(),
    lastUsedAt: time.optional(),
    revokedAt: time.optional(),
    secrets: z
      .array(z.object({ id: z.string(), createdAt: time, createdBy: z.string() }))
      .describe('Newest first; never their texts'),
  })
  .meta({ id: 'AlertSource' })

const changedSchema = sourceSchema
  .extend({ secret: z.string().optional().describe('What was made; shown this once') })
  .meta({ id: 'ChangedAlertSource' })

const view = (source: AlertSource) => ({ ...source, path: `/v1/hooks/${source.name}` })

function answerOf(change: SourceChange): Reply<ReturnType<typeof view> & { readonly secret?: string }> {
  if (change.ok) {
    const made = change.secret === undefined ? {} : { secret: change.secret }
    return { headers: { 'Cache-Control': 'no-store' }, body: { ...view(change.source), ...made } }
  }
  const { why, message } = change
  throw new HttpProblem(why === 'no-secrets' ? 'bad-secret' : why, message, {
    action: why === 'unknown-source' ? 'List them with GET /v1/alert-sources.' : 'Change the request.',
  })
}

/** Registering, listing, rotating and ending alert sources. */
export function sourceRoutes({ sources }: { readonly sources: Sources }): readonly Route[] {
  const common = { tag: 'alert sources', permission: 'administer' } as const
  const params = z.object({ name: sourceName })
  return [
    route({
      ...common,
      method: 'get',
      path: '/v1/alert-sources',
      summary: 'All alert sources, without their secrets',
      description: OWN_ALONE,
      response: z.object({ sources: z.array(sourceSchema) }),
      handle: async (_input, { principal }) => ({
        body: { sources: concerning(principal, await sources.list()).map(view) },
      }),
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/alert-sources',
      summary: 'Registers an alerting system; a secret that is made is shown in this answer only',
      status: 201,
      body: newSourceSchema,
      response: changedSchema,
      problems: [409, 422],
      handle: async ({ body }, { principal }) => {
        authorizeUnscoped(principal)
        const { name, kind, migrations, secret: given, topics } = body
        return answerOf(
          await sources.create(
            {
              name,
              kind,
              settings: topics === undefined ? {} : { topics },
              ...(migrations === undefined ? {} : { migrations }),
              ...(given === undefined ? {} : { secret: given }),
            },
            principal.name,
          ),
        )
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/alert-sources/{name}/secrets',
      summary: 'Adds a secret beside the newest one: both are good until the older is removed',
      status: 201,
      params,
      body: z.strictObject({ secret: secret.optional() }),
      response: changedSchema,
      problems: [404, 422],
      handle: async ({ params: { name }, body }, { principal }) => {
        authorizeUnscoped(principal)
        return answerOf(await sources.addSecret(name, body.secret, principal.name))
      },
    }),
    route({
      ...common,
      method: 'delete',
      path: '/v1/alert-sources/{name}/secrets/{secret}',
      summary: 'Ends one secret at once',
      params: params.extend({ secret: z.string().min(1).max(100) }),
      response: changedSchema,
      problems: [404],
      handle: async ({ params: { name, secret: id } }, { principal }) => {
        authorizeUnscoped(principal)
        return answerOf(await sources.removeSecret(name, id, principal.name))
      },
    }),
    route({
      ...common,
      method: 'delete',
      path: '/v1/alert-sources/{name}',
      summary: 'Ends a source at once; its secrets are erased',
      params,
      response: changedSchema,
      problems: [404],
      handle: async ({ params: { name } }, { principal }) => {
        authorizeUnscoped(principal)
        return answerOf(await sources.revoke(name, principal.name))
      },
    }),
  ]
}
