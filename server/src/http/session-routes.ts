import { NO_ROLLOUT, PHASE_TABLE, PHASES, routingOf, WRITE_VARIANTS } from '@switchback/migrations-registry'
import { z } from 'zod'
import { PERMISSIONS, ROLES, rolesThatMay } from '../tokens/permissions.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'

const stage = z.enum(['none', 'expand', 'migrate', 'contract'])

/** What a client with a screen asks first: who it is, and what the phases mean. */
export const sessionRoutes = (): readonly Route[] => [
  route({
    method: 'get',
    path: '/v1/me',
    tag: 'tokens',
    permission: 'evaluate',
    summary: 'Who the token or the session stands for, and what it may do',
    response: z
      .object({
        name: z.string(),
        role: z.enum(ROLES),
        migrations: z.array(z.string()).optional().describe('Only these; all where not given'),
        person: z.string().optional().describe('The human being behind it, where that is known'),
        session: z
          .object({
            provider: z.string().describe('Where the person signed in'),
            expiresAt: z.number().describe('Unix milliseconds'),
          })
          .optional()
          .describe('Set where a person is signed in, rather than a token sent'),
        permissions: z.record(
          z.enum(PERMISSIONS),
          z.array(z.enum(ROLES)).describe('Roles that may do this, the own one among them or not'),
        ),
      })
      .meta({ id: 'Me' }),
    handle: async (_input, { principal }) => {
      const { name, role, migrations, person, session } = principal
      const permissions = Object.fromEntries(
        PERMISSIONS.map((permission) => [permission, rolesThatMay(permission)]),
      ) as Record<(typeof PERMISSIONS)[number], ReturnType<typeof rolesThatMay>>
      return {
        body: {
          name,
          role,
          permissions,
          ...(migrations === undefined ? {} : { migrations }),
          ...(person === undefined ? {} : { person }),
          ...(session === undefined
            ? {}
            : { session: { provider: session.provider, expiresAt: session.expiresAt } }),
        },
      }
    },
  }),
  route({
    method: 'get',
    path: '/v1/phases',
    tag: 'migrations',
    permission: 'read',
    summary: 'The phases with their flags, what they mean, and where a revert leads',
    response: z.object({
      phases: z.array(
        z
          .object({
            phase: z.enum(PHASES),
            stage,
            meaning: z.string(),
            write: z.enum(WRITE_VARIANTS),
            read: z.string().describe('Of a share: the variant inside, then the one outside'),
            revertsTo: z.enum(PHASES).optional(),
            revertBy: z.string().optional().describe('Work that the way back takes'),
          })
          .meta({ id: 'PhaseRow' }),
      ),
    }),
    handle: async () => ({
      body: {
        phases: PHASES.map((phase) => {
          const { stage: of, meaning, revertsTo, revertBy } = PHASE_TABLE[phase]
          const { read, write } = routingOf('', phase, NO_ROLLOUT, true)
          return {
            phase,
            stage: of,
            meaning,
            write,
            read: read.kind === 'fixed' ? read.variant : `${read.inside} / ${read.outside}`,
            ...(revertsTo === undefined ? {} : { revertsTo }),
            ...(revertBy === undefined ? {} : { revertBy }),
          }
        }),
      },
    }),
  }),
]
