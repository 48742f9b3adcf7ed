import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Clock } from '../db/clock.ts'
import type { Permission } from '../tokens/permissions.ts'
import { may, rolesThatMay } from '../tokens/permissions.ts'
import type { Principal, Scoped, Tokens } from '../tokens/tokens.ts'
import { inScope } from '../tokens/tokens.ts'
import { createAddressLimit } from './address-limit.ts'
import { HttpProblem } from './problem.ts'

/** What is looked at of a request to find out who asks. */
export type Asking = Pick<IncomingMessage, 'headers' | 'method'>

export type Authenticate = (request: Asking, address: string) => Promise<Principal>

/** How people are known who signed in at a provider; their browser sends a cookie with every request. */
export interface SessionDoor {
  /** Text of the session that a request carries. */
  textOf(headers: IncomingHttpHeaders): string | undefined
  authenticate(text: string): Promise<Principal | undefined>
  /** Why this request may not have been meant by the person; undefined where it was. */
  whyForged(request: Asking): string | undefined
}

const FAILURES_ALLOWED = 30
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="switchback"' }

/**
 * Finds out who asks. Failures are counted per address, and many are told to wait; a good token passes even
 * then, or a stranger behind the same proxy could keep alerts from reverting.
 */
export function createAuthenticate(
  tokens: Pick<Tokens, 'authenticate'>,
  clock: Clock,
  sessions?: SessionDoor,
): Authenticate {
  const limit = createAddressLimit(FAILURES_ALLOWED, clock)

  function fail(address: string, detail: string): never {
    const seconds = limit.count(address)
    if (seconds !== undefined) {
      throw new HttpProblem('too-many-failures', `Too many bad tokens came from ${address}.`, {
        action: `Wait ${seconds} s, or come with a good token.`,
        headers: { 'Retry-After': String(seconds) },
      })
    }
    throw new HttpProblem('unauthenticated', detail, {
      action: 'Send "Authorization: Bearer <token>".',
      headers: CHALLENGE,
    })
  }

  return async (request, address) => {
    const text = tokenOf(request.headers)
    if (text !== undefined) {
      const principal = await tokens.authenticate(text)
      return principal ?? fail(address, 'The token is unknown, expired or revoked.')
    }
    const session = sessions?.textOf(request.headers)
    if (sessions === undefined || session === undefined) return fail(address, 'The request carries no token.')
    const forged = sessions.whyForged(request)
    if (forged !== undefined) {
      throw new HttpProblem('forbidden', forged, {
        action: 'Use the console, or send a token instead of a cookie.',
      })
    }
    const principal = await sessions.authenticate(session)
    return principal ?? fail(address, 'The session is over.')
  }
}

/** Bearer is usual; OFREP providers send X-API-Key as well. */
function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const key = headers['x-api-key']
  const text = bearer ?? (typeof key === 'string' ? key : undefined)
  return text === undefined || text === '' || text.length > 1000 ? undefined : text
}

/** Refuses, by name of what is missing, whoever may not do this. */
export function authorize(principal: Principal, permission: Permission): void {
  if (may(principal.role, permission)) return
  const roles = rolesThatMay(permission).join(', ')
  throw new HttpProblem(
    'forbidden',
    `The role ${principal.role} may not do this; it takes one of: ${roles}.`,
    {
      action:
        principal.session === undefined
          ? 'Use a token of such a role.'
          : 'Ask whoever looks after your groups at the provider.',
    },
  )
}

/** Refuses a token that is not for this migration. */
export function authorizeScope(principal: Scoped, migration: string): void {
  if (inScope(principal, migration)) return
  throw new HttpProblem('forbidden', `This token is not for the migration "${migration}".`, {
    action: 'Use a token whose scope includes it.',
  })
}

/** Refuses a token that is for certain migrations only, where what is changed belongs to none. */
export function authorizeUnscoped(principal: Scoped): void {
  if (principal.migrations === undefined) return
  throw new HttpProblem('forbidden', 'This token is for certain migrations only.', {
    action: 'Use a token without a scope.',
  })
}

/** Whoever asks, as the changes they make are written down. */
export const actorOf = ({
  name,
  person,
}: Principal): { readonly name: string; readonly person?: string } => ({
  name,
  ...(person === undefined ? {} : { person }),
})
