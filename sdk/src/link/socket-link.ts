import type { ClientToServer, ServerToClient } from '@switchback/migrations-registry'
import { io, type Socket } from 'socket.io-client'
import type { Cancel, Clock } from '../clock.ts'
import { backoff, MAX_BACKOFF_MS } from './backoff.ts'
import type { Link, LinkListener, LinkRefusal } from './link.ts'

const CONNECT_TIMEOUT_MS = 10_000

export interface SocketLinkOptions {
  readonly url: string
  readonly token: string
  readonly clock: Clock
  readonly random: () => number
}

/** Socket.IO over a websocket. Reconnecting is done here: the library's own backoff is not a full jitter. */
export function createSocketLink(options: SocketLinkOptions): Link {
  const { clock, random } = options
  const socket: Socket<ServerToClient, ClientToServer> = io(`${options.url.replace(/\/+$/, '')}/sdk`, {
    transports: ['websocket'],
    auth: { token: options.token },
    reconnection: false,
    autoConnect: false,
    forceNew: true,
    autoUnref: true,
    timeout: CONNECT_TIMEOUT_MS,
  })
  let attempt = 0
  let closed = false
  let cancel: Cancel | undefined

  const again = (hopeless: boolean): void => {
    if (closed) return
    cancel?.()
    // A wrong token may be put right at the server; asking often does not help.
    const ms = hopeless ? MAX_BACKOFF_MS * (0.5 + random() / 2) : backoff(attempt++, random)
    cancel = clock.after(ms, () => socket.connect())
  }

  return {
    get connected() {
      return socket.connected
    },
    open: (listener: LinkListener) => {
      socket.on('connect', () => {
        attempt = 0
        listener.connected()
      })
      socket.on('disconnect', (reason) => {
        if (closed) return
        listener.disconnected(reason)
        again(false)
      })
      socket.on('connect_error', (error) => {
        const refusal = refusalOf(error)
        listener.failed(refusal)
        again(!refusal.retryable)
      })
      socket.on('change', (body) => listener.change(body))
      socket.on('dismissed', (body) => listener.dismissed(body))
      socket.connect()
    },
    request: (event, body, timeoutMs) => {
      // Without a connection the library would keep the message and send it after the next one: too late.
      if (!socket.connected) return Promise.reject(new Error('not connected'))
      const timed: { emitWithAck(event: string, ...args: unknown[]): Promise<unknown> } =
        socket.timeout(timeoutMs)
      return body === undefined ? timed.emitWithAck(event) : timed.emitWithAck(event, body)
    },
    close: () => {
      closed = true
      cancel?.()
      socket.removeAllListeners()
      socket.disconnect()
    },
  }
}

/**
 * What a failed attempt means. The server's middleware refuses with `data: {code, message, retryable}`; a
 * proxy in front of it may refuse the upgrade with a status.
 */
function refusalOf(error: Error): LinkRefusal {
  const data: unknown = 'data' in error ? error.data : undefined
  if (typeof data === 'object' && data !== null && 'code' in data) {
    const message = 'message' in data && typeof data.message === 'string' ? data.message : error.message
    const retryable = 'retryable' in data ? data.retryable !== false : true
    return { code: String(data.code), message, retryable }
  }
  const description: unknown = 'description' in error ? error.description : undefined
  // An event and no Error, though it tells as much.
  const detail =
    typeof description === 'object' && description !== null && 'message' in description
      ? `: ${description.message}`
      : ''
  const message = `${error.message}${detail}`
  const status = /Unexpected server response: (401|403)/.exec(message)?.[1]
  return status === undefined
    ? { code: 'unreachable', message, retryable: true }
    : { code: status === '401' ? 'unauthorized' : 'forbidden', message, retryable: false }
}
