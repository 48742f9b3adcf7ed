import { z } from 'zod'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { limit, migrationParams, revision, time } from '../http/schemas.ts'
import type { Scoped } from '../tokens/tokens.ts'
import type { Audit } from './audit.ts'

const eventSchema = z
  .object({
    revision: z.int(),
    at: time,
    actor: z.string(),
    kind: z.string(),
    subject: z.string().optional(),
    detail: z.record(z.string(), z.unknown()),
    hash: z.string(),
  })
  .meta({ id: 'AuditEvent' })

const paging = {
  since: revision.optional().describe('Only events after this revision, oldest first'),
  before: revision.optional().describe('Only events before this revision'),
  limit: limit(100),
}

/** The audit log: what was changed by whom, and whether nobody has altered it. */
export function auditRoutes({ audit }: { readonly audit: Audit }): readonly Route[] {
  const events = async (
    query: {
      readonly since?: number | undefined
      readonly before?: number | undefined
      readonly subject?: string | undefined
      readonly limit: number
    },
    { migrations: scope }: Scoped,
  ) => {
    const { since, before, subject } = query
    const found = await audit.events({
      limit: query.limit,
      order: since === undefined ? 'desc' : 'asc',
      ...(since === undefined ? {} : { since }),
      ...(before === undefined ? {} : { before }),
      ...(subject === undefined ? {} : { subject }),
      ...(scope === undefined ? {} : { scope }),
    })
    return { body: { events: found } }
  }
  const common = { method: 'get', tag: 'audit', permission: 'read' } as const
  const response = z.object({ events: z.array(eventSchema) })
  return [
    route({
      ...common,
      path: '/v1/events',
      summary: 'Changes, newest first; oldest first with `since`',
      description:
        'A token for certain migrations is told of changes of those and of their incidents; not of flags, tokens, channels, or what else belongs to no migration.',
      query: z.strictObject({ ...paging, subject: z.string().min(1).max(200).optional() }),
      response,
      handle: ({ query }, { principal }) => events(query, principal),
    }),
    route({
      ...common,
      path: '/v1/migrations/{id}/events',
      summary: 'Changes of one migration',
      params: migrationParams,
      scopedBy: 'id',
      query: z.strictObject(paging),
      response,
      handle: ({ params, query }, { principal }) => events({ ...query, subject: params.id }, principal),
    }),
    route({
      ...common,
      path: '/v1/audit/verify',
      summary: 'Walks the hash chain of the audit log',
      description: 'Of the whole log, whatever the token is for: a chain can be proven in no other way.',
      response: z
        .discriminatedUnion('ok', [
          z.object({ ok: z.literal(true), events: z.int(), hash: z.string() }),
          z.object({ ok: z.literal(false), events: z.int(), brokenAt: z.int(), problem: z.string() }),
        ])
        .meta({ id: 'AuditVerification' }),
      handle: async () => ({ body: await audit.verify() }),
    }),
  ]
}
