import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { SignOnSettings } from '../config/sign-on-settings.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { SessionDoor } from '../http/authenticate.ts'
import type { SocketDoor } from '../push/authentication.ts'
import type { SecretBox } from '../secrets/secret-box.ts'
import { createCookies } from '../sign-on/cookies.ts'
import type { MountSignOnDeps } from '../sign-on/mount-sign-on.ts'
import type { People } from '../sign-on/people-routes.ts'
import { createProvider } from '../sign-on/provider.ts'
import { createSessionDoor, createSocketDoor } from '../sign-on/session-door.ts'
import { createSessions } from '../sign-on/sessions.ts'
import { createSignOn } from '../sign-on/sign-on.ts'

export interface ComposeSignOnDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly box: SecretBox
  readonly settings: SignOnSettings
  readonly announce: (revision: number) => void
  readonly log: Pick<Logger, 'info' | 'warn'>
}

export interface ComposedSignOn {
  readonly people: People
  readonly door: SessionDoor
  readonly socketDoor: SocketDoor
  readonly visits: MountSignOnDeps
}

/** Wires single sign-on. The provider is not asked for anything before somebody wants to sign in. */
export function composeSignOn(deps: ComposeSignOnDeps): ComposedSignOn {
  const { db, clock, settings, log } = deps
  const { origin } = settings
  const cookies = createCookies(origin)
  const provider = createProvider({ settings, monotonic: () => performance.now() })
  const sessions = createSessions({ ...deps, randomBytes })
  const signOn = createSignOn({ db, clock, randomBytes, settings, provider, sessions })
  return {
    people: {
      sessions,
      cookies,
      ...(settings.signsOutAtProvider ? { signOutAt: provider.signOutAt } : {}),
    },
    door: createSessionDoor({ sessions, cookies, origin }),
    socketDoor: createSocketDoor({ sessions, cookies, origin }),
    visits: { settings, signOn, sessions, cookies, log, clock },
  }
}
