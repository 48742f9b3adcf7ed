import type { SignOnSettings } from '../config/sign-on-settings.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { hashToken } from '../tokens/tokens.ts'
import { insertAttempt, takeAttempt } from './attempt-store.ts'
import type { Provider } from './provider.ts'
import { readClaims } from './read-claims.ts'
import { returnPath } from './return-path.ts'
import type { Sessions } from './sessions.ts'
import { SignOnError } from './sign-on-error.ts'

interface Begun {
  /** Where the browser goes. */
  readonly to: URL
  /** For the cookie that ties the answer to this browser. */
  readonly browser: string
}

export type Finished = { readonly returnTo: string } & (
  | { readonly ok: true; readonly session: string; readonly name: string }
  | { readonly ok: false; readonly error: SignOnError }
)

/** The authorization code flow, from the button to the session. */
export interface SignOn {
  /** @throws SignOnError where the provider cannot be asked */
  begin(returnTo: unknown): Promise<Begun>
  /**
   * @param address by which the browser came back from the provider
   * @throws SignOnError where nobody has begun this
   */
  finish(address: URL, browser: string | undefined): Promise<Finished>
}

export interface SignOnDeps {
  readonly db: Db
  readonly clock: Clock
  readonly randomBytes: (size: number) => Buffer
  readonly settings: SignOnSettings
  readonly provider: Provider
  readonly sessions: Pick<Sessions, 'start'>
}

/** Time to type a password and to find the second factor. */
export const ATTEMPT_MS = 600_000
/** Anybody may begin; the store is not to be filled by it. */
const MOST_ATTEMPTS = 10_000

export function createSignOn(deps: SignOnDeps): SignOn {
  const { db, clock, settings, provider, sessions } = deps
  const random = (): string => deps.randomBytes(32).toString('base64url')

  return {
    async begin(returnTo) {
      const checks = { state: random(), nonce: random(), verifier: random() }
      const browser = random()
      const to = await provider.begin(checks)
      const now = clock()
      const { nonce, verifier } = checks
      const isKept = await insertAttempt(
        db,
        {
          stateHash: hashToken(checks.state),
          browserHash: hashToken(browser),
          nonce,
          verifier,
          returnTo: returnPath(returnTo),
        },
        { now, expiresAt: now + ATTEMPT_MS },
        MOST_ATTEMPTS,
      )
      if (!isKept) throw new SignOnError('too-many', `${MOST_ATTEMPTS} sign-ins are under way`)
      return { to, browser }
    },
    async finish(address, browser) {
      const state = address.searchParams.get('state') ?? ''
      const attempt =
        browser === undefined
          ? undefined
          : await takeAttempt(db, { stateHash: hashToken(state), browserHash: hashToken(browser) }, clock())
      if (attempt === undefined) {
        throw new SignOnError('expired', 'nobody is under way with this state in this browser')
      }
      // Where it leads was looked at before it was kept, and is again: the rules may be newer than the row.
      const returnTo = returnPath(attempt.returnTo)
      try {
        const { nonce, verifier } = attempt
        const { claims, idToken } = await provider.finish(address, { state, nonce, verifier })
        const vouched = readClaims(claims, settings.issuer, settings.groupsClaim)
        const { text, name } = await sessions.start(vouched, idToken)
        return { ok: true, returnTo, session: text, name }
      } catch (error) {
        if (error instanceof SignOnError) return { ok: false, returnTo, error }
        throw error
      }
    },
  }
}
