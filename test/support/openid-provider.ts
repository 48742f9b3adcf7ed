import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { decodeJwt, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { Configuration } from 'oidc-provider'
import { freePort } from './free-port.ts'

export interface OpenIdProviderOptions {
  readonly clientId: string
  /** Without it the client is a public one. */
  readonly clientSecret?: string
  /** Origin of the server that people sign in to. */
  readonly clientOrigin: string
  /** Claims by subject. */
  readonly people: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Claims in the ID token rather than at the userinfo endpoint. */
  readonly tellsInIdToken?: boolean
  /** What ID tokens say instead of this; they are signed as any. */
  readonly alterIdToken?: (claims: JWTPayload) => JWTPayload
  /** Publishes other keys than those it signs with. */
  readonly forgesKeys?: boolean
  /** Whether clients can end its sessions. */
  readonly endsSessions?: boolean
  readonly port?: number
}

/** A real OpenID provider on the loopback. Its sign-in page has a button for each person, and one to cancel. */
export interface OpenIdProvider {
  readonly issuer: string
  readonly port: number
  stop(): Promise<void>
}

/** Another site than 127.0.0.1, for the cookies of a browser. */
const HOST = 'localhost'
const SCOPES = 'openid profile email groups'

async function makeKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { privateKey, jwk: { ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'test' } }
}

const page = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><title>${title}</title><h1>${title}</h1>${body}</html>`

export async function openIdProvider(options: OpenIdProviderOptions): Promise<OpenIdProvider> {
  const { people, clientOrigin } = options
  const { default: Provider } = await import('oidc-provider')
  const port = options.port ?? (await freePort())
  const issuer = `http://${HOST}:${port}`
  const key = await makeKey()
  const configuration: Configuration = {
    clients: [
      {
        client_id: options.clientId,
        redirect_uris: [`${clientOrigin}/v1/sign-on/callback`],
        post_logout_redirect_uris: [`${clientOrigin}/`],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        ...(options.clientSecret === undefined
          ? { token_endpoint_auth_method: 'none' }
          : { client_secret: options.clientSecret }),
      },
    ],
    jwks: { keys: [key.jwk] },
    cookies: { keys: ['for tests only'] },
    pkce: { required: () => true },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'preferred_username'],
      groups: ['groups'],
    },
    conformIdTokenClaims: options.tellsInIdToken !== true,
    findAccount: (_context, accountId) => ({
      accountId,
      claims: async () => ({ sub: accountId, ...people[accountId] }),
    }),
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      Grant: 600,
      IdToken: 600,
      Interaction: 600,
      Session: 600,
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: {
        enabled: options.endsSessions ?? true,
        logoutSource: (context, form) => {
          context.body = page(
            'Sign out of the provider?',
            `${form}<button type="submit" form="op.logoutForm" value="yes" name="logout">Yes</button>`,
          )
        },
      },
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    // Whoever has signed in has agreed to everything: what is tested is not the provider.
    loadExistingGrant: async ({ oidc }) => {
      const { client, session, provider: at } = oidc
      if (client === undefined || session?.accountId === undefined) return undefined
      const grant = new at.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope(SCOPES)
      await grant.save()
      return grant
    },
  }
  const provider = new Provider(issuer, configuration)
  const callback = provider.callback()
  const strangeKey = options.forgesKeys === true ? await makeKey() : undefined

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      await provider.interactionDetails(request, response)
      const buttons = Object.keys(people).map((who) => `<button name="who" value="${who}">${who}</button>`)
      response.setHeader('content-type', 'text/html')
      response.end(
        page('Who are you?', `<form method="post">${buttons.join('')}<button>Cancel</button></form>`),
      )
      return
    }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const who = new URLSearchParams(Buffer.concat(chunks).toString()).get('who')
    const result =
      who === null
        ? { error: 'access_denied', error_description: 'the person said no' }
        : { login: { accountId: who } }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  }

  /** Has the token endpoint answer with an ID token that says something else. */
  function altering(response: ServerResponse, alter: (claims: JWTPayload) => JWTPayload): void {
    const end = response.end.bind(response)
    const altered = async (text: string): Promise<string> => {
      const answer = JSON.parse(text) as { id_token?: string }
      if (answer.id_token === undefined) return text
      const token = new SignJWT(alter(decodeJwt(answer.id_token)))
      const header = { alg: 'RS256', kid: key.jwk.kid }
      return JSON.stringify({
        ...answer,
        id_token: await token.setProtectedHeader(header).sign(key.privateKey),
      })
    }
    response.end = ((body: unknown) => {
      void altered(String(body)).then((text) => {
        response.setHeader('content-length', Buffer.byteLength(text))
        end(text)
      })
      return response
    }) as typeof response.end
  }

  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    if (path.startsWith('/interaction/')) {
      interact(request, response).catch((error: unknown) => {
        response.statusCode = 400
        response.end(String(error))
      })
    } else if (path === '/jwks' && strangeKey !== undefined) {
      const { kty, n, e, kid, use, alg } = strangeKey.jwk
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ keys: [{ kty, n, e, kid, use, alg }] }))
    } else {
      if (path === '/token' && options.alterIdToken !== undefined) altering(response, options.alterIdToken)
      void callback(request, response)
    }
  })
  server.listen(port, HOST)
  await once(server, 'listening')
  return {
    issuer,
    port,
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
