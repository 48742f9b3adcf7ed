import { PEOPLE_ROLES, type PeopleRole } from '../config/sign-on-schema.ts'
import type { SignOnSettings } from '../config/sign-on-settings.ts'

/** What the role of a person is decided by. */
export interface Credentials {
  readonly email?: string
  /** Undefined where the provider does not say. */
  readonly emailVerified?: boolean
  readonly groups: readonly string[]
}

export type Decided =
  | { readonly ok: true; readonly role: PeopleRole }
  | { readonly ok: false; readonly code: 'no-role' | 'email-not-allowed' }

/** The highest role that the groups give, by the settings of now: taking a group off the list takes effect at once. */
export function decideRole(
  { email, emailVerified, groups }: Credentials,
  settings: Pick<SignOnSettings, 'roles' | 'defaultRole' | 'emailDomains'>,
): Decided {
  const domain = email?.split('@').at(-1)?.toLowerCase()
  const { emailDomains, defaultRole } = settings
  if (emailDomains !== undefined) {
    const isKnown = domain !== undefined && emailDomains.includes(domain) && emailVerified !== false
    if (!isKnown) return { ok: false, code: 'email-not-allowed' }
  }
  const given = new Set<PeopleRole>(
    settings.roles.filter(({ group }) => groups.includes(group)).map(({ role }) => role),
  )
  if (defaultRole !== undefined) given.add(defaultRole)
  const role = PEOPLE_ROLES.findLast((each) => given.has(each))
  return role === undefined ? { ok: false, code: 'no-role' } : { ok: true, role }
}
