import type { WireError } from '@switchback/migrations-registry'
import type { Socket } from 'socket.io'

/** Who a token stands for. */
interface Identity {
  readonly role: string
  readonly name: string
}

/** Resolves to nothing where the token is unknown, expired or revoked; throws where that cannot be told. */
export type Authenticate = (token: string) => Promise<Identity | undefined>

type Next = (error?: Error & { data: WireError }) => void

const refusal = (code: string, message: string, retryable: boolean): Error & { data: WireError } =>
  Object.assign(new Error(message), { data: { code, message, retryable } })

export const tokenOf = (socket: Socket): string | undefined => {
  const { token } = socket.handshake.auth as { readonly token?: unknown }
  return typeof token === 'string' && token !== '' && token.length <= 1000 ? token : undefined
}

/** Middleware of a namespace: lets in who has one of these roles. */
export const requireRole =
  (auth: Authenticate, roles: readonly string[]) =>
  (socket: Socket, next: Next): void => {
    const token = tokenOf(socket)
    if (token === undefined) {
      next(refusal('unauthorized', 'Connect with { auth: { token } }.', false))
      return
    }
    auth(token).then(
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
