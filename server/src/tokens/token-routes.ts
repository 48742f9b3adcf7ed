import { migrationIdSchema } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import { authorizeUnscoped } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { idParams, time } from '../http/schemas.ts'
import { concerning, OWN_ALONE } from './concerning.ts'
import { ROLES } from './permissions.ts'
import { RESERVED_NAMES } from './reserved-names.ts'
import type { Tokens } from './tokens.ts'

const newTokenSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[\w@.+-][\w@.+ -]{0,98}$/, 'expected letters, digits, and @ . + - _ or spaces')
      .refine(
        (name) => !RESERVED_NAMES.includes(name.trim().toLowerCase()),
        'this name stands for a part of the server',
      )
      .describe('Who or what uses it; the audit log shows this'),
    role: z.enum(ROLES),
    migrations: z
      .array(migrationIdSchema)
      .min(1)
      .max(1000)
      .optional()
      .describe(
        'Only for these; all where not given. Others are neither told of nor touched, and an instance with such a token may not speak of them.',
      ),
    expiresAt: z.int().optional().describe('Unix milliseconds'),
  })
  .meta({ id: 'NewToken' })

const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    migrations: z.array(z.string()).optional(),
    createdAt: time,
    createdBy: z.string(),
    expiresAt: time.optional(),
    lastUsedAt: time.optional(),
    revokedAt: time.optional(),
  })
  .meta({ id: 'Token' })

/** Making, listing and revoking tokens. */
export function tokenRoutes({
  tokens,
  clock,
}: {
  readonly tokens: Tokens
  readonly clock: Clock
}): readonly Route[] {
  const common = { tag: 'tokens', permission: 'administer' } as const
  return [
    route({
      ...common,
      method: 'get',
      path: '/v1/tokens',
      summary: 'All tokens, without their texts',
      description: OWN_ALONE,
      response: z.object({ tokens: z.array(tokenSchema) }),
      handle: async (_input, { principal }) => ({
        body: { tokens: concerning(principal, await tokens.list()) },
      }),
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/tokens',
      summary: 'Makes a token; its text is shown in this answer only',
      status: 201,
      body: newTokenSchema,
      response: tokenSchema.extend({ token: z.string() }).meta({ id: 'CreatedToken' }),
      handle: async ({ body }, { principal }) => {
        authorizeUnscoped(principal)
        const { name, role, migrations, expiresAt } = body
        if (expiresAt !== undefined && expiresAt <= clock()) {
          throw new HttpProblem('invalid-request', 'The token would have expired already.', {
            problems: [{ path: 'body.expiresAt', message: 'expected a time to come, in Unix milliseconds' }],
          })
        }
        const { info, text } = await tokens.create(
          {
            name,
            role,
            ...(migrations === undefined ? {} : { migrations }),
            ...(expiresAt === undefined ? {} : { expiresAt }),
          },
          principal,
        )
        return { headers: { 'Cache-Control': 'no-store' }, body: { ...info, token: text } }
      },
    }),
    route({
      ...common,
      method: 'delete',
      path: '/v1/tokens/{id}',
      summary: 'Revokes a token at once',
      status: 204,
      params: idParams,
      problems: [404],
      handle: async ({ params: { id } }, { principal }) => {
        authorizeUnscoped(principal)
        if (!(await tokens.revoke(id, principal.name))) {
          throw new HttpProblem('unknown-token', `There is no token "${id}" that could be revoked.`, {
            action: 'List them with GET /v1/tokens.',
          })
        }
        return {}
      },
    }),
  ]
}
