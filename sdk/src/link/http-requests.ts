import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { Clock } from '../clock.ts'

export interface HttpReply {
  readonly status: number
  readonly etag: string | undefined
  /** The body as JSON; undefined where there is none, or it is no JSON. */
  readonly body: unknown
}

export interface HttpAsk {
  readonly method: 'GET' | 'POST'
  /** With its query, after the address of the server. */
  readonly path: string
  readonly etag?: string | undefined
  readonly body?: unknown
  readonly timeoutMs: number
}

export interface HttpRequests {
  /** Rejects where there is no whole answer within the time. */
  send(ask: HttpAsk): Promise<HttpReply>
  /** Breaks off whatever is under way. */
  close(): void
}

/** An answer of the server is a fraction of this; what is larger comes from somebody else. */
const MAX_BODY_BYTES = 64_000_000
/** One request is held at the server; heartbeat, report, measurements and resync may coincide. */
const SOCKETS = 6

/**
 * Requests over connections that are kept, and that keep no process alive. `fetch` would: its connections
 * count as work for as long as a request is held at the server.
 */
export function createHttpRequests(options: {
  readonly url: string
  readonly token: string
  readonly clock: Clock
}): HttpRequests {
  const base = options.url.replace(/\/+$/, '')
  const isTls = new URL(base).protocol === 'https:'
  const settings = { keepAlive: true, maxSockets: SOCKETS }
  const agent = isTls ? new TlsAgent(settings) : new PlainAgent(settings)
  const open = new Set<() => void>()

  const attempt = (ask: HttpAsk): Promise<HttpReply> =>
    new Promise((resolve, reject) => {
      const text = ask.body === undefined ? undefined : JSON.stringify(ask.body)
      const request = (isTls ? tlsRequest : plainRequest)(base + ask.path, {
        method: ask.method,
        agent,
        headers: {
          authorization: `Bearer ${options.token}`,
          accept: 'application/json',
          ...(ask.etag === undefined ? {} : { 'if-none-match': ask.etag }),
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      })
      const abandon = (): void => void request.destroy(new Error('no answer in time'))
      const cancel = options.clock.after(ask.timeoutMs, abandon)
      let settled = false
      const done = (settle: () => void): void => {
        if (settled) return
        settled = true
        cancel()
        open.delete(abandon)
        settle()
      }
      open.add(abandon)
      request.once('socket', (socket) => socket.unref())
      request.on('error', (error) => {
        // The server may close a kept connection at the moment at which it is used again: it has seen nothing.
        const stale = request.reusedSocket && 'code' in error && error.code === 'ECONNRESET'
        done(stale ? () => void attempt(ask).then(resolve, reject) : () => reject(error))
      })
      request.once('response', (response) => {
        readReply(response).then(
          (reply) => done(() => resolve(reply)),
          (error: unknown) => done(() => reject(error)),
        )
      })
      request.end(text)
    })

  return {
    send: attempt,
    close: () => {
      for (const abandon of [...open]) abandon()
      agent.destroy()
    },
  }
}

async function readReply(response: IncomingMessage): Promise<HttpReply> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  const { etag } = response.headers
  return { status: response.statusCode ?? 0, etag, body: parse(Buffer.concat(chunks).toString()) }
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
