import { z } from 'zod'
import { authorizeUnscoped } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { idParams, time } from '../http/schemas.ts'
import { ROLES } from '../tokens/permissions.ts'
import type { Cookies } from './cookies.ts'
import type { Provider } from './provider.ts'
import type { Sessions } from './sessions.ts'

/** What the routes about people need; undefined where they sign in with tokens alone. */
export interface People {
  readonly sessions: Pick<Sessions, 'list' | 'end'>
  readonly cookies: Pick<Cookies, 'clearSession'>
  /** Where a session at the provider is ended; undefined where it is to go on. */
  readonly signOutAt?: Provider['signOutAt']
}

export interface PeopleRoutesDeps {
  readonly people?: People
}

const sessionSchema = z
  .object({
    id: z.string(),
    identity: z.string().describe('Of the person, whatever name they go by'),
    name: z.string(),
    email: z.string().optional(),
    role: z.enum(ROLES),
    startedAt: time,
    usedAt: time,
    expiresAt: time,
  })
  .meta({ id: 'Session' })

/** Signing out, and the sessions of everybody. */
export const peopleRoutes = ({ people }: PeopleRoutesDeps): readonly Route[] => [
  route({
    method: 'post',
    path: '/v1/sign-out',
    tag: 'sessions',
    permission: 'evaluate',
    summary: 'Ends the session that the request comes with',
    response: z
      .object({
        next: z.string().optional().describe('Where the browser goes to end its session at the provider too'),
      })
      .meta({ id: 'SignedOut' }),
    handle: async (_input, { principal }) => {
      if (people === undefined || principal.session === undefined) {
        throw new HttpProblem('invalid-request', 'This request comes with a token, which has no session.', {
          action: 'Forget the token, or revoke it with DELETE /v1/tokens/{id}.',
        })
      }
      const ended = await people.sessions.end(principal.session.id, principal.name)
      const next = await people.signOutAt?.(ended?.idToken)
      return {
        headers: { 'Set-Cookie': people.cookies.clearSession() },
        body: next === undefined ? {} : { next: next.href },
      }
    },
  }),
  route({
    method: 'get',
    path: '/v1/sessions',
    tag: 'sessions',
    permission: 'administer',
    summary: 'Who is signed in at the moment, the newest first',
    response: z.object({ sessions: z.array(sessionSchema) }),
    handle: async () => ({ body: { sessions: (await people?.sessions.list()) ?? [] } }),
  }),
  route({
    method: 'delete',
    path: '/v1/sessions/{id}',
    tag: 'sessions',
    permission: 'administer',
    summary: 'Ends a session at once',
    description:
      'Whoever can still sign in at the provider may do so again: take the groups from them there.',
    status: 204,
    params: idParams,
    problems: [404],
    handle: async ({ params: { id } }, { principal }) => {
      authorizeUnscoped(principal)
      if ((await people?.sessions.end(id, principal.name)) === undefined) {
        throw new HttpProblem('unknown-session', `There is no session "${id}" that could be ended.`, {
          action: 'List them with GET /v1/sessions.',
        })
      }
      return {}
    },
  }),
]
