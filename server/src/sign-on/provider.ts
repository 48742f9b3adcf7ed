import * as client from 'openid-client'
import type { SignOnSettings } from '../config/sign-on-settings.ts'
import { type Claims, claimAt } from './read-claims.ts'
import { SignOnError } from './sign-on-error.ts'

/** What ties an answer of the provider to the question. */
export interface Checks {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export interface Answered {
  readonly claims: Claims
  readonly idToken: string
}

/** The OpenID provider, asked when it is needed and not before. Each call may throw `SignOnError`. */
export interface Provider {
  /** Where to send a browser that wants to sign in. */
  begin(checks: Checks): Promise<URL>
  /** Takes the provider's answer, by the address that the browser brought it to. */
  finish(address: URL, checks: Checks): Promise<Answered>
  /** Where a session at the provider is ended; undefined where that is not offered, or not to be found out now. */
  signOutAt(idToken: string | undefined): Promise<URL | undefined>
}

export const CALLBACK = '/v1/sign-on/callback'

const TIMEOUT_S = 8
/** Clocks of two machines are never quite the same. */
const TOLERANCE_S = 30
/** Its endpoints change seldom; its keys are looked after by the library. */
const DISCOVERED_MS = 3_600_000

/** Which way of showing the secret the provider takes; where it does not say, the standard has basic. */
const bySecret =
  (secret: string): client.ClientAuth =>
  (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? []
    const isPost = methods.includes('client_secret_post') && !methods.includes('client_secret_basic')
    const auth = isPost ? client.ClientSecretPost(secret) : client.ClientSecretBasic(secret)
    auth(server, ...rest)
  }

export function createProvider({
  settings,
  monotonic,
}: {
  readonly settings: SignOnSettings
  readonly monotonic: () => number
}): Provider {
  const { issuer, clientId, clientSecret, origin, scopes, groupsClaim } = settings
  let known: { readonly at: number; readonly configuration: Promise<client.Configuration> } | undefined

  function discover(): Promise<client.Configuration> {
    return client.discovery(
      new URL(issuer),
      clientId,
      { [client.clockTolerance]: TOLERANCE_S },
      clientSecret === undefined ? client.None() : bySecret(clientSecret),
      {
        timeout: TIMEOUT_S,
        // The signature is checked even though the token comes straight from the provider.
        execute: [
          client.enableNonRepudiationChecks,
          ...(new URL(issuer).protocol === 'http:' ? [client.allowInsecureRequests] : []),
        ],
      },
    )
  }

  /** Asked again after a failure: a provider that was away is tried with the next sign-in. */
  async function configured(): Promise<client.Configuration> {
    const now = monotonic()
    if (known === undefined || now - known.at > DISCOVERED_MS) {
      known = { at: now, configuration: discover() }
    }
    const asked = known
    try {
      return await asked.configuration
    } catch (error) {
      if (known === asked) known = undefined
      throw explain(error)
    }
  }

  return {
    async begin({ state, nonce, verifier }) {
      const configuration = await configured()
      return client.buildAuthorizationUrl(configuration, {
        redirect_uri: origin + CALLBACK,
        scope: scopes,
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      })
    },
    async finish(address, { state, nonce, verifier }) {
      const configuration = await configured()
      try {
        const tokens = await client.authorizationCodeGrant(configuration, address, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        })
        const claims = tokens.claims()
        if (claims === undefined || tokens.id_token === undefined) {
          throw new SignOnError('not-proven', 'the provider sent no ID token')
        }
        const isWhole = claims.email !== undefined && claimAt(claims, groupsClaim) !== undefined
        const asks = !isWhole && configuration.serverMetadata().userinfo_endpoint !== undefined
        const more = asks ? await client.fetchUserInfo(configuration, tokens.access_token, claims.sub) : {}
        return { claims: { ...more, ...claims }, idToken: tokens.id_token }
      } catch (error) {
        throw explain(error)
      }
    },
    async signOutAt(idToken) {
      const configuration = await configured().catch(() => undefined)
      if (configuration?.serverMetadata().end_session_endpoint === undefined) return undefined
      return client.buildEndSessionUrl(configuration, {
        post_logout_redirect_uri: `${origin}/`,
        ...(idToken === undefined ? {} : { id_token_hint: idToken }),
      })
    },
  }
}

/** An answer that is none: the network, a time-out, or the error page of a proxy. */
const NO_ANSWER = [
  'OAUTH_TIMEOUT',
  'OAUTH_ABORT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
]
const NOT_PROVEN = [
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
  'OAUTH_INVALID_RESPONSE',
]

/** What went wrong, in one of our words; the library's own message stays for the log. */
function explain(error: unknown): SignOnError {
  if (error instanceof SignOnError) return error
  const cause = { cause: error }
  if (error instanceof client.AuthorizationResponseError) {
    const trouble = error.error === 'access_denied' ? 'cancelled' : 'provider-refused'
    return new SignOnError(trouble, `the provider answered ${error.error}`, cause)
  }
  if (error instanceof client.ResponseBodyError) {
    return new SignOnError('provider-refused', `its token endpoint answered ${error.error}`, cause)
  }
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (error instanceof TypeError || NO_ANSWER.includes(code)) {
    return new SignOnError('provider-unreachable', message, cause)
  }
  return new SignOnError(NOT_PROVEN.includes(code) ? 'not-proven' : 'provider-refused', message, cause)
}
