import type { EvaluationContext } from '@switchback/migrations-registry'
import { evaluateFlag, flagSchema, PHASES } from '@switchback/migrations-registry'
import { z } from 'zod'
import { authorizeUnscoped } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import { valueOrThrow } from '../http/refusal.ts'
import type { Immutable, Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { keyParams, time } from '../http/schemas.ts'
import { visibleTo } from '../push/visible-to.ts'
import type { SnapshotSource } from './flag-world.ts'
import { worldOf } from './flag-world.ts'
import type { Flags, StoredFlag } from './flags.ts'

const storedSchema = z
  .object({
    key: z.string(),
    description: z.string(),
    enabled: z.boolean(),
    variants: z.record(z.string(), z.unknown()),
    defaultVariant: z.string(),
    offVariant: z.string(),
    rules: z.array(
      z.object({
        when: z
          .object({
            attribute: z.string(),
            in: z.array(z.union([z.string(), z.number(), z.boolean()])),
          })
          .optional(),
        share: z.number().optional().describe('0 to 1'),
        variant: z.string(),
      }),
    ),
    requires: z.object({ migration: z.string(), phase: z.enum(PHASES) }).optional(),
    revision: z.int(),
    updatedAt: time,
  })
  .meta({ id: 'StoredFlag' })

export const contextSchema = z
  .looseObject({ targetingKey: z.string().max(1000).optional() })
  .meta({ id: 'EvaluationContext' })

const evaluationSchema = z
  .object({
    key: z.string(),
    value: z.unknown().optional(),
    variant: z.string().optional(),
    reason: z.enum(['STATIC', 'TARGETING_MATCH', 'SPLIT', 'DISABLED', 'ERROR']),
    errorCode: z.enum(['FLAG_NOT_FOUND', 'TARGETING_KEY_MISSING', 'GENERAL']).optional(),
    errorMessage: z.string().optional(),
    metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  })
  .meta({ id: 'Evaluation' })

/** What an evaluation is made of, where the token is not for everything. */
export const SEEN_SO =
  'A token for certain migrations is told of the flags of those; a flag that requires another migration is off for it, as it is for instances that connect with that token.'

const flagBody = flagSchema.meta({ id: 'Flag' })

function view({ definition, revision, updatedAt }: StoredFlag): Immutable<z.input<typeof storedSchema>> {
  const { rules, requires, ...rest } = definition
  return {
    ...rest,
    ...(requires === undefined ? {} : { requires }),
    rules: rules.map(({ variant, share, when }) => ({
      variant,
      ...(share === undefined ? {} : { share }),
      ...(when === undefined ? {} : { when }),
    })),
    revision,
    updatedAt,
  }
}

/** Drops what is explicitly undefined, which a parsed context may hold. */
export const contextOf = (context: z.output<typeof contextSchema>): EvaluationContext => {
  const { targetingKey, ...rest } = context
  return { ...rest, ...(targetingKey === undefined ? {} : { targetingKey }) }
}

export interface FlagRoutesDeps {
  readonly flags: Flags
  readonly snapshots: SnapshotSource
}

/** Ordinary flags, and evaluating any flag. */
export function flagRoutes({ flags, snapshots }: FlagRoutesDeps): readonly Route[] {
  const common = { tag: 'flags' } as const
  return [
    route({
      ...common,
      method: 'get',
      path: '/v1/flags',
      permission: 'read',
      summary: 'All ordinary flags',
      response: z.object({ flags: z.array(storedSchema) }),
      handle: async () => ({ body: { flags: (await flags.list()).map(view) } }),
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/flags',
      permission: 'operate',
      summary: 'Makes a flag',
      status: 201,
      body: flagBody,
      response: storedSchema,
      problems: [409],
      handle: async ({ body }, { principal }) => {
        authorizeUnscoped(principal)
        return { body: view(valueOrThrow(await flags.create(body, principal.name))) }
      },
    }),
    route({
      ...common,
      method: 'get',
      path: '/v1/flags/{key}',
      permission: 'read',
      summary: 'One flag',
      params: keyParams,
      response: storedSchema,
      problems: [404],
      handle: async ({ params: { key } }) => {
        const flag = await flags.get(key)
        if (flag === undefined) throw unknown(key)
        return { body: view(flag) }
      },
    }),
    route({
      ...common,
      method: 'put',
      path: '/v1/flags/{key}',
      permission: 'operate',
      summary: 'Replaces a flag',
      params: keyParams,
      body: flagBody,
      response: storedSchema,
      problems: [404, 409],
      handle: async ({ params: { key }, body }, { principal }) => {
        authorizeUnscoped(principal)
        if (body.key !== key) {
          throw new HttpProblem('invalid-request', `The body is of "${body.key}", the address of "${key}".`, {
            problems: [{ path: 'body.key', message: `expected "${key}"` }],
          })
        }
        return { body: view(valueOrThrow(await flags.replace(body, principal.name))) }
      },
    }),
    route({
      ...common,
      method: 'delete',
      path: '/v1/flags/{key}',
      permission: 'operate',
      summary: 'Removes a flag',
      status: 204,
      params: keyParams,
      problems: [404],
      handle: async ({ params: { key } }, { principal }) => {
        authorizeUnscoped(principal)
        valueOrThrow(await flags.remove(key, principal.name))
        return {}
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/flags/{key}/evaluate',
      permission: 'evaluate',
      summary: 'Evaluates a flag, of a migration too',
      description: SEEN_SO,
      params: keyParams,
      body: z.strictObject({ context: contextSchema.default({}) }),
      response: evaluationSchema,
      problems: [404],
      handle: async ({ params: { key }, body }, { principal }) => {
        const context = contextOf(body.context)
        const world = worldOf(visibleTo(principal, await snapshots.fresh()))
        const evaluation = evaluateFlag(key, context, world.for(context))
        if (evaluation.errorCode === 'FLAG_NOT_FOUND') throw unknown(key)
        return { body: evaluation }
      },
    }),
  ]
}

const unknown = (key: string): HttpProblem =>
  new HttpProblem('unknown-flag', `There is no flag "${key}".`, {
    action: 'List the flags with GET /v1/flags.',
  })
