import type { Credentials } from './decide-role.ts'
import { SignOnError } from './sign-on-error.ts'

/** What a provider says of a person, proven. */
export type Claims = Readonly<Record<string, unknown>>

/** Who somebody is, for good: a subject is never given to another person, a name or an address may be. */
export interface Vouched {
  readonly issuer: string
  readonly subject: string
  /** Address of which the provider does not say that it is unproven. */
  readonly address?: string
  /** What else to call them, the most telling first. */
  readonly names: readonly string[]
  readonly credentials: Credentials
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined

/** A claim by its name, or by a path of names with dots between; names may hold dots themselves. */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  return path.split('.').reduce<unknown>((at, name) => {
    const isThere = typeof at === 'object' && at !== null && Object.hasOwn(at, name)
    return isThere ? (at as Record<string, unknown>)[name] : undefined
  }, claims)
}

/** Providers tell of groups as a list, as one text, or as the names of an object. */
function groupsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.filter((each): each is string => typeof each === 'string')
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.keys(value) : []
}

/** @throws SignOnError where the provider left the groups out */
export function readClaims(claims: Claims, issuer: string, groupsClaim: string): Vouched {
  const subject = textOf(claims.sub)
  if (subject === undefined) throw new SignOnError('not-proven', 'the claims name no subject')
  const groups = claimAt(claims, groupsClaim)
  const elsewhere = claims._claim_names
  if (
    groups === undefined &&
    typeof elsewhere === 'object' &&
    elsewhere !== null &&
    groupsClaim in elsewhere
  ) {
    throw new SignOnError('groups-left-out', `the claim ${groupsClaim} of ${subject} is told elsewhere`)
  }
  const email = textOf(claims.email)
  const { email_verified: verified } = claims
  const isVerified = verified === true || verified === 'true'
  const isProven = email !== undefined && (verified === undefined || isVerified)
  const others = [claims.preferred_username, claims.upn, claims.name].flatMap((name) => textOf(name) ?? [])
  return {
    issuer,
    subject,
    names: [...others, subject],
    ...(isProven ? { address: email } : {}),
    credentials: {
      groups: groupsOf(groups),
      ...(email === undefined ? {} : { email }),
      ...(verified === undefined ? {} : { emailVerified: isVerified }),
    },
  }
}
