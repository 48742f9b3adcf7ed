import { recordChange } from '../changes/record-change.ts'
import type { SignOnSettings } from '../config/sign-on-settings.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'
import type { SecretBox } from '../secrets/secret-box.ts'
import { hashToken, type Principal } from '../tokens/tokens.ts'
import { decideRole } from './decide-role.ts'
import { recogniseIdentity } from './identity-store.ts'
import type { Vouched } from './read-claims.ts'
import {
  endSession,
  findSession,
  type Holding,
  insertSession,
  listSessions,
  type StoredSession,
  touchSession,
} from './session-store.ts'
import { SignOnError } from './sign-on-error.ts'

interface StartedSession {
  /** For the cookie; the only time that it is to be had. */
  readonly text: string
  readonly name: string
}

/** A session as it may be shown. */
export interface SessionInfo extends Omit<StoredSession, 'credentials' | 'hint' | 'issuer'> {
  readonly email?: string
  readonly role: Principal['role']
}

/** Sessions of people who signed in at the provider; in the store, so that any server knows them. */
export interface Sessions {
  /** @throws SignOnError where the person has no role here */
  start(vouched: Vouched, idToken: string): Promise<StartedSession>
  /** Who a session stands for; undefined where it is over, or its person has no role any more. */
  authenticate(text: string, use?: 'used' | 'looked-at'): Promise<Principal | undefined>
  list(): Promise<readonly SessionInfo[]>
  /** Ends a session, and gives the ID token it began with; undefined where there is none. */
  end(id: string, actor: string): Promise<{ readonly idToken: string | undefined } | undefined>
}

export interface SessionsDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly randomBytes: (size: number) => Buffer
  readonly box: SecretBox
  readonly settings: SignOnSettings
  readonly announce: (revision: number) => void
}

export function createSessions(deps: SessionsDeps): Sessions {
  const { db, clock, newId, settings, box } = deps
  const holding = (): Holding => ({ now: clock(), idleMs: settings.idleMs })

  /** One transaction with its audit event, told to the servers once it is committed. */
  async function change<T>(work: (tx: Queryable) => Promise<readonly [T, number?]>): Promise<T> {
    const [value, revision] = await db.tx(async (tx) => {
      // The order in which everybody takes this lock and those of rows, or two of them wait for each other.
      await tx.query('select from head for update')
      return await work(tx)
    })
    if (revision !== undefined) deps.announce(revision)
    return value
  }

  /** With the settings of now: a role taken from a group is gone with the next request. */
  function roleOf({ issuer, credentials }: StoredSession): Principal['role'] | undefined {
    const decided = issuer === settings.issuer ? decideRole(credentials, settings) : undefined
    return decided?.ok === true ? decided.role : undefined
  }

  /** A hint that was sealed with another key is none; signing out works without. */
  function opened({ id, hint }: StoredSession): string | undefined {
    try {
      return hint === undefined ? undefined : box.open(hint, id)
    } catch {
      return undefined
    }
  }

  return {
    start: async (vouched, idToken) => {
      const { issuer, subject, credentials } = vouched
      const decided = decideRole(credentials, settings)
      const text = `sbs_${deps.randomBytes(32).toString('base64url')}`
      const name = await change(async (tx) => {
        const at = clock()
        const identity = await recogniseIdentity(tx, vouched, { newId: newId('idn'), now: at })
        const who = { issuer, subject, ...credentials }
        if (!decided.ok) {
          const detail = { ...who, why: decided.code }
          const kind = 'session.refused'
          const event = { at, actor: identity.name, kind, subject: identity.id, detail }
          return [undefined, await recordChange(tx, event)]
        }
        const id = newId('ses')
        const expiresAt = at + settings.sessionMs
        const detail = { ...who, identity: identity.id, role: decided.role, expiresAt }
        const event = { at, actor: identity.name, kind: 'session.started', subject: id, detail }
        const revision = await recordChange(tx, event)
        const hint = box.seal(idToken, id)
        const hash = hashToken(text)
        await insertSession(tx, { id, hash, identity: identity.id, credentials, hint, at, expiresAt })
        return [identity.name, revision]
      })
      if (!decided.ok) {
        const groups = credentials.groups.join(', ') || 'none'
        throw new SignOnError(decided.code, `${subject} has no role here; their groups are: ${groups}`)
      }
      return { text, name: name ?? subject }
    },
    authenticate: async (text, use = 'used') => {
      const { now, idleMs } = holding()
      const session = await findSession(db, hashToken(text), { now, idleMs })
      if (session === undefined) return undefined
      const role = roleOf(session)
      if (role === undefined) return undefined
      if (use === 'used') await touchSession(db, session.id, now)
      const { id, identity, name, expiresAt } = session
      return {
        id: identity,
        name,
        role,
        person: identity,
        session: { id, provider: settings.name, expiresAt },
      }
    },
    list: async () =>
      (await listSessions(db, holding())).flatMap((session) => {
        const role = roleOf(session)
        if (role === undefined) return []
        const { id, identity, name, startedAt, usedAt, expiresAt, credentials } = session
        const { email } = credentials
        return {
          id,
          identity,
          name,
          role,
          startedAt,
          usedAt,
          expiresAt,
          ...(email === undefined ? {} : { email }),
        }
      }),
    end: (id, actor) =>
      change(async (tx) => {
        const session = await endSession(tx, id, holding())
        if (session === undefined) return [undefined]
        const detail = { of: session.name, identity: session.identity }
        const event = { at: clock(), actor, kind: 'session.ended', subject: id, detail }
        return [{ idToken: opened(session) }, await recordChange(tx, event)]
      }),
  }
}
