import type { IncomingHttpHeaders } from 'node:http'
import type { WireError } from '@switchback/migrations-registry'
import type { Socket } from 'socket.io'

/** Who a token or a session stands for. */
interface Identity {
  readonly role: string
  readonly name: string
  /** What it may speak of; everything where not given. */
  readonly migrations?: readonly string[]
}

/** Who was let in on a socket. */
export const identityOf = (socket: Pick<Socket, 'data'>): Identity | undefined =>
  (socket.data as { readonly identity?: Identity }).identity

/** Resolves to nothing where the token is unknown, expired or revoked; throws where that cannot be told. */
export type Authenticate = (token: string) => Promise<Identity | undefined>

/** How sockets of people are known who have signed in: by the cookie that their browser sends. */
export interface SocketDoor {
  /** Text of the session; undefined where there is none, or another site has opened the socket. */
  textOf(headers: IncomingHttpHeaders): string | undefined
  authenticate: Authenticate
}

/** By what somebody connects, and how to find out who that is, now and later. */
export interface Credential {
  /** The same for the same credential. */
  readonly key: string
  check(): Promise<Identity | undefined>
}

export type CredentialOf = (socket: Socket) => Credential | undefined

/** Tokens, and where a door is given sessions too. */
export const credentialsBy =
  (auth: Authenticate, door?: SocketDoor): CredentialOf =>
  (socket) => {
    const token = tokenOf(socket)
    if (token !== undefined) return { key: `token ${token}`, check: () => auth(token) }
    const session = door?.textOf(socket.handshake.headers)
    if (door === undefined || session === undefined) return undefined
    return { key: `session ${session}`, check: () => door.authenticate(session) }
  }

function tokenOf(socket: Socket): string | undefined {
  const { token } = socket.handshake.auth as { readonly token?: unknown }
  return typeof token === 'string' && token !== '' && token.length <= 1000 ? token : undefined
}

type Next = (error?: Error & { data: WireError }) => void

const refusal = (code: string, message: string, retryable: boolean): Error & { data: WireError } =>
  Object.assign(new Error(message), { data: { code, message, retryable } })

/** Middleware of a namespace: lets in who has one of these roles. */
export const requireRole =
  (credentialOf: CredentialOf, roles: readonly string[]) =>
  (socket: Socket, next: Next): void => {
    const credential = credentialOf(socket)
    if (credential === undefined) {
      next(refusal('unauthorized', 'Connect with { auth: { token } }.', false))
      return
    }
    credential.check().then(
      (identity) => {
        if (identity === undefined) {
          next(refusal('unauthorized', 'The token is unknown, expired or revoked.', false))
        } else if (!roles.includes(identity.role)) {
          const message = `A token of role ${identity.role} is not allowed here; it takes ${roles.join(', ')}.`
          next(refusal('forbidden', message, false))
        } else {
          socket.data = { ...socket.data, identity }
          next()
        }
      },
      () => next(refusal('store-unavailable', 'The token cannot be looked up at the moment.', true)),
    )
  }
