import type { z } from 'zod'
import type { configSchema } from './config-schema.ts'
import type { PeopleRole, RoleOfGroup } from './sign-on-schema.ts'

/** How people sign in by an OpenID provider; undefined in `Config` where they do not. */
export interface SignOnSettings {
  readonly issuer: string
  readonly clientId: string
  /** Undefined: a public client. */
  readonly clientSecret?: string
  /** What the button calls the provider. */
  readonly name: string
  readonly scopes: string
  /** Origin by which browsers reach this server, such as `https://switchback.example.com`. */
  readonly origin: string
  readonly groupsClaim: string
  readonly roles: readonly RoleOfGroup[]
  /** Of whoever is in none of the groups; undefined: they are turned away. */
  readonly defaultRole?: PeopleRole
  readonly emailDomains?: readonly string[]
  readonly sessionMs: number
  readonly idleMs: number
  readonly signsOutAtProvider: boolean
}

interface Problem {
  readonly name: string
  readonly message: string
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** What anybody on the way can read must not carry sessions; on the machine itself nobody is on the way. */
export const isPrivate = (address: string): boolean => {
  const { protocol, hostname } = new URL(address)
  return protocol === 'https:' || LOOPBACK.test(hostname)
}

/** What is wrong with the settings taken together, and the settings where nothing is. */
export function signOnOf(
  data: z.output<typeof configSchema>,
  given: Readonly<Record<string, string>>,
): { readonly settings?: SignOnSettings; readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const must = (isRight: boolean, name: string, message: string): void => {
    if (!isRight) problems.push({ name, message })
  }
  const { OIDC_ISSUER: issuer, OIDC_CLIENT_ID: clientId, PUBLIC_URL: publicUrl } = data
  if (issuer === undefined) {
    for (const name of Object.keys(given).filter((each) => each.startsWith('OIDC_'))) {
      must(false, name, 'means nothing without OIDC_ISSUER')
    }
    return { problems }
  }
  must(isPrivate(issuer), 'OIDC_ISSUER', 'expected https:// except on this machine')
  must(clientId !== undefined, 'OIDC_CLIENT_ID', 'is needed with OIDC_ISSUER')
  must(
    publicUrl !== undefined,
    'PUBLIC_URL',
    'is needed with OIDC_ISSUER: the provider sends people back to it',
  )
  must(
    publicUrl === undefined || isPrivate(publicUrl),
    'PUBLIC_URL',
    'expected https:// with OIDC_ISSUER, except on this machine: sessions would be read on the way',
  )
  must(
    (data.OIDC_ROLES?.length ?? 0) > 0 || data.OIDC_DEFAULT_ROLE !== undefined,
    'OIDC_ROLES',
    'nobody could sign in: name groups here, or set OIDC_DEFAULT_ROLE',
  )
  must(data.OIDC_IDLE_MS <= data.OIDC_SESSION_MS, 'OIDC_IDLE_MS', 'expected no more than OIDC_SESSION_MS')
  if (problems.length > 0 || clientId === undefined || publicUrl === undefined) return { problems }
  const { OIDC_CLIENT_SECRET: secret, OIDC_DEFAULT_ROLE: role, OIDC_EMAIL_DOMAINS: domains } = data
  const settings: SignOnSettings = {
    issuer,
    clientId,
    name: data.OIDC_NAME,
    scopes: data.OIDC_SCOPES,
    origin: new URL(publicUrl).origin,
    groupsClaim: data.OIDC_GROUPS_CLAIM,
    roles: data.OIDC_ROLES ?? [],
    sessionMs: data.OIDC_SESSION_MS,
    idleMs: data.OIDC_IDLE_MS,
    signsOutAtProvider: data.OIDC_SIGN_OUT === 'provider',
    ...(secret === undefined ? {} : { clientSecret: secret }),
    ...(role === undefined ? {} : { defaultRole: role }),
    ...(domains === undefined ? {} : { emailDomains: domains }),
  }
  return { settings: Object.freeze(settings), problems }
}
