import type { Evaluation } from '@switchback/migrations-registry'
import { evaluateFlag } from '@switchback/migrations-registry'
import { z } from 'zod'
import { etagOf, hasAlready } from '../http/etag.ts'
import type { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { keyParams } from '../http/schemas.ts'
import { visibleTo } from '../push/visible-to.ts'
import { contextOf, contextSchema, SEEN_SO } from './flag-routes.ts'
import type { SnapshotSource } from './flag-world.ts'
import { worldOf } from './flag-world.ts'

const metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))

const successSchema = z
  .object({
    key: z.string(),
    reason: z.enum(['STATIC', 'TARGETING_MATCH', 'SPLIT', 'DISABLED', 'UNKNOWN']),
    variant: z.string().optional(),
    value: z.unknown().optional(),
    metadata: metadata.optional(),
  })
  .meta({ id: 'OfrepSuccess' })

const failureSchema = z
  .object({
    key: z.string().optional(),
    errorCode: z.enum([
      'PARSE_ERROR',
      'TARGETING_KEY_MISSING',
      'INVALID_CONTEXT',
      'FLAG_NOT_FOUND',
      'GENERAL',
    ]),
    errorDetails: z.string().optional(),
  })
  .meta({ id: 'OfrepFailure' })

// Lenient, as the protocol asks: fields of later versions are passed over.
const bodySchema = z.looseObject({ context: contextSchema.default({}) }).meta({ id: 'OfrepRequest' })

/** Problems of the request in the words of OFREP; those of tokens and of the store stay what they are. */
function problemAs(problem: HttpProblem, params: Readonly<Record<string, unknown>>): unknown {
  if (problem.status !== 400) return undefined
  const errorCode = problem.code === 'malformed-json' ? 'PARSE_ERROR' : 'INVALID_CONTEXT'
  const key = typeof params.key === 'string' ? { key: params.key } : {}
  return { ...key, errorCode, errorDetails: problem.message }
}

/** OFREP 0.3: any OpenFeature SDK in any language can ask. */
export function ofrepRoutes({ snapshots }: { readonly snapshots: SnapshotSource }): readonly Route[] {
  const common = {
    method: 'post',
    tag: 'OFREP',
    permission: 'evaluate',
    body: bodySchema,
    problemAs,
  } as const
  return [
    route({
      ...common,
      path: '/ofrep/v1/evaluate/flags/{key}',
      summary: 'Evaluates one flag',
      description: SEEN_SO,
      params: keyParams,
      response: z.union([successSchema, failureSchema]),
      problems: [404],
      handle: async ({ params: { key }, body }, { principal }) => {
        const context = contextOf(body.context)
        const world = worldOf(visibleTo(principal, await snapshots.fresh()))
        const evaluation = evaluateFlag(key, context, world.for(context))
        return { status: statusOf(evaluation), body: told(evaluation) }
      },
    }),
    route({
      ...common,
      path: '/ofrep/v1/evaluate/flags',
      summary: 'Evaluates all flags for one context',
      description: SEEN_SO,
      response: z
        .object({ flags: z.array(z.union([successSchema, failureSchema])), metadata: metadata.optional() })
        .meta({ id: 'OfrepBulk' }),
      notModified: true,
      handle: async ({ body }, { headers, principal }) => {
        const context = contextOf(body.context)
        const world = worldOf(visibleTo(principal, await snapshots.fresh()))
        const asked = world.for(context)
        const flags = world.keys.map((key) => told(evaluateFlag(key, context, asked)))
        const etag = etagOf(flags)
        if (hasAlready(headers['if-none-match'], etag)) return { status: 304, headers: { ETag: etag } }
        return { headers: { ETag: etag }, body: { flags } }
      },
    }),
  ]
}

const statusOf = ({ errorCode }: Evaluation): number =>
  errorCode === undefined ? 200 : errorCode === 'FLAG_NOT_FOUND' ? 404 : 400

function told(evaluation: Evaluation): z.input<typeof successSchema> | z.input<typeof failureSchema> {
  const { key, value, variant, reason, errorCode, errorMessage, metadata: about } = evaluation
  if (errorCode !== undefined || reason === 'ERROR') {
    return {
      key,
      errorCode: errorCode ?? 'GENERAL',
      ...(errorMessage === undefined ? {} : { errorDetails: errorMessage }),
    }
  }
  return {
    key,
    reason,
    value,
    ...(variant === undefined ? {} : { variant }),
    ...(about === undefined ? {} : { metadata: { ...about } }),
  }
}
