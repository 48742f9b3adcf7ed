import { z } from 'zod'
import { milliseconds, url } from './config-parts.ts'

/** What people may be; the other roles are for programs. */
export const PEOPLE_ROLES = ['viewer', 'operator', 'approver', 'admin'] as const
export type PeopleRole = (typeof PEOPLE_ROLES)[number]

export interface RoleOfGroup {
  readonly role: PeopleRole
  readonly group: string
}

const isPeopleRole = (text: string): text is PeopleRole => PEOPLE_ROLES.some((role) => role === text)

/** `admin=platform; operator=cn=riders,dc=example`: only the first `=` parts role and group. */
function parseRoles(text: string, context: z.RefinementCtx): readonly RoleOfGroup[] {
  const entries = text
    .split(';')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  return entries.flatMap((entry) => {
    const at = entry.indexOf('=')
    const role = entry.slice(0, Math.max(at, 0)).trim()
    const group = entry.slice(at + 1).trim()
    if (at > 0 && isPeopleRole(role) && group !== '') return [{ role, group }]
    context.addIssue({
      code: 'custom',
      message: `expected entries of the form role=group with semicolons between, each role one of ${PEOPLE_ROLES.join(', ')}`,
    })
    return []
  })
}

/** Settings of single sign-on; part of the one schema. */
export const signOnShape = {
  OIDC_ISSUER: url('https:', 'http:')
    .optional()
    .describe(
      'OpenID provider by which people sign in to the console, as its discovery document names it. Without it, tokens alone. Needs `PUBLIC_URL`. See [Single sign-on](sign-on.md).',
    ),
  OIDC_CLIENT_ID: z.string().min(1).optional().describe('Client that the provider knows this server as.'),
  OIDC_CLIENT_SECRET: z
    .string()
    .min(1)
    .optional()
    .describe('Its secret. Without it the client is a public one; PKCE is used in either case.'),
  OIDC_NAME: z
    .string()
    .min(1)
    .max(40)
    .default('single sign-on')
    .describe('What the button calls the provider: “Sign in with …”.'),
  OIDC_SCOPES: z
    .string()
    .default('openid profile email')
    .refine((text) => text.split(' ').includes('openid'), 'expected "openid" to be among the scopes')
    .describe('What is asked of the provider, with spaces between.'),
  OIDC_GROUPS_CLAIM: z
    .string()
    .min(1)
    .default('groups')
    .describe('Claim that names groups or roles; dots lead into it, as in `realm_access.roles`.'),
  OIDC_ROLES: z
    .string()
    .transform(parseRoles)
    .optional()
    .describe(
      'Which group has which role: `admin=platform; operator=riders; operator=drivers`. Of several the highest counts.',
    ),
  OIDC_DEFAULT_ROLE: z
    .enum(PEOPLE_ROLES)
    .optional()
    .describe('Role of whoever is in none of these groups. Without it they are turned away.'),
  OIDC_EMAIL_DOMAINS: z
    .string()
    .regex(/^[\w.-]+(,[\w.-]+)*$/, 'expected domains with commas between')
    .transform((text) => text.toLowerCase().split(','))
    .optional()
    .describe('Domains of which an address must be to be let in, with commas between. Without it, all.'),
  OIDC_SESSION_MS: milliseconds(60_000, 30 * 86_400_000)
    .default(43_200_000)
    .describe('How long a session lasts at most, in ms.'),
  OIDC_IDLE_MS: milliseconds(60_000, 30 * 86_400_000)
    .default(14_400_000)
    .describe('How long it lasts without a request, in ms; not above OIDC_SESSION_MS.'),
  OIDC_SIGN_OUT: z
    .enum(['provider', 'here'])
    .default('provider')
    .describe('Whether signing out ends the session at the provider too, where it offers that.'),
} as const
