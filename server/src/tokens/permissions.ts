export const ROLES = ['viewer', 'operator', 'approver', 'admin', 'sdk', 'alert'] as const
export type Role = (typeof ROLES)[number]

/** What a request may be about; each route asks for one of these. */
export const PERMISSIONS = [
  /** See migrations, flags, instances, alerts, incidents, audit. */
  'read',
  /** Register, advance, rollout, flags, pause, revert, re-arm, retry. */
  'operate',
  /** Approve contract; restore dropped data. */
  'approve',
  /** Pass over a blocker; forget an instance; manage tokens. */
  'administer',
  /** Evaluate flags. */
  'evaluate',
  /** What SDKs do: the socket, and the snapshot for those that poll. */
  'connect',
  /** Deliver alerts. */
  'alert',
] as const
export type Permission = (typeof PERMISSIONS)[number]

/** What each role may do. The only place where this is decided. */
const ALLOWED: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: ['read', 'evaluate'],
  operator: ['read', 'evaluate', 'operate'],
  approver: ['read', 'evaluate', 'operate', 'approve'],
  admin: ['read', 'evaluate', 'operate', 'approve', 'administer', 'connect', 'alert'],
  sdk: ['evaluate', 'connect'],
  alert: ['alert'],
}

export const may = (role: Role, permission: Permission): boolean => ALLOWED[role].includes(permission)

/** Roles that may do this, for the answer to one that may not. */
export const rolesThatMay = (permission: Permission): readonly Role[] =>
  ROLES.filter((role) => may(role, permission))
