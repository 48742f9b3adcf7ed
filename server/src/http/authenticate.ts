import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../db/clock.ts'
import type { Permission } from '../tokens/permissions.ts'
import { may, rolesThatMay } from '../tokens/permissions.ts'
import type { Principal, Tokens } from '../tokens/tokens.ts'
import { inScope } from '../tokens/tokens.ts'
import { HttpProblem } from './problem.ts'

export type Authenticate = (headers: IncomingHttpHeaders, address: string) => Promise<Principal>

const WINDOW_MS = 60_000
const FAILURES_ALLOWED = 30
const ADDRESSES_KEPT = 10_000
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="switchback"' }

/**
 * Finds out who asks. Failures are counted per address, and many are told to wait; a good token passes even
 * then, or a stranger behind the same proxy could keep alerts from reverting.
 */
export function createAuthenticate(tokens: Pick<Tokens, 'authenticate'>, clock: Clock): Authenticate {
  const failures = new Map<string, { count: number; until: number }>()

  function fail(address: string, detail: string): never {
    const now = clock()
    const known = failures.get(address)
    const entry = known === undefined || known.until <= now ? { count: 0, until: now + WINDOW_MS } : known
    entry.count += 1
    // Put last, so that the first of the map is the one that failed longest ago.
    failures.delete(address)
    failures.set(address, entry)
    const oldest = failures.keys().next().value
    if (failures.size > ADDRESSES_KEPT && oldest !== undefined) failures.delete(oldest)
    if (entry.count > FAILURES_ALLOWED) {
      const seconds = Math.ceil((entry.until - now) / 1000)
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

  return async (headers, address) => {
    const text = tokenOf(headers)
    if (text === undefined) return fail(address, 'The request carries no token.')
    const principal = await tokens.authenticate(text)
    return principal ?? fail(address, 'The token is unknown, expired or revoked.')
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
      action: 'Use a token of such a role.',
    },
  )
}

/** Refuses a token that is not for this migration. */
export function authorizeScope(principal: Principal, migration: string): void {
  if (inScope(principal, migration)) return
  throw new HttpProblem('forbidden', `This token is not for the migration "${migration}".`, {
    action: 'Use a token whose scope includes it.',
  })
}

/** Refuses a token that is for certain migrations only, where what is changed belongs to none. */
export function authorizeUnscoped(principal: Principal): void {
  if (principal.migrations === undefined) return
  throw new HttpProblem('forbidden', 'This token is for certain migrations only.', {
    action: 'Use a token without a scope.',
  })
}
