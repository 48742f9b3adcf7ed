import type { ClientToServer } from '@switchback/migrations-registry'
import type { Cancel, Clock } from '../clock.ts'
import { messageOf } from '../error.ts'
import { backoff, MAX_BACKOFF_MS } from './backoff.ts'
import { createHttpRequests, type HttpReply } from './http-requests.ts'
import type { Link, LinkListener, LinkRefusal } from './link.ts'

/** How long the server may hold the answer back while nothing changes: proxies give up after 30 to 60 s. */
const HOLD_SECONDS = 20
/** Pace where something on the way does not let answers be held. */
const INTERVAL_MS = 5_000
/** Where a held request broke, holding is tried again after this. */
const PLAIN_MS = 600_000
const POLL_TIMEOUT_MS = HOLD_SECONDS * 1_000 + 10_000

export interface PollingLinkOptions {
  readonly url: string
  readonly token: string
  readonly clock: Clock
  readonly random: () => number
}

/** What the last snapshot was, as it came. */
interface Held {
  readonly etag: string
  readonly body: Readonly<Record<string, unknown>>
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/**
 * The conversation of the socket as requests. A request for the snapshot is always on its way, held by the
 * server until something changes, so that a change arrives as fast as by socket; where answers are not held,
 * it is asked for every 5 seconds. As long as these are answered, the link counts as connected.
 */
export function createPollingLink(options: PollingLinkOptions): Link {
  const { clock, random } = options
  const http = createHttpRequests(options)
  let listener: LinkListener | undefined
  let connected = false
  let closed = false
  let attempt = 0
  let held: Held | undefined
  /** Whose heartbeats these are; a socket would know. */
  let speaker: { readonly instance: string; readonly incarnation: string } | undefined
  let plainUntil = Number.NEGATIVE_INFINITY
  let cancel: Cancel | undefined

  const again = (ms: number): void => {
    if (closed) return
    cancel?.()
    cancel = clock.after(ms, () => void poll())
  }

  const down = (refusal: LinkRefusal): void => {
    if (closed) return
    const was = connected
    connected = false
    if (was) listener?.disconnected(refusal.message)
    listener?.failed(refusal)
    // A wrong token may be put right at the server; asking often does not help.
    again(refusal.retryable ? backoff(attempt++, random) : MAX_BACKOFF_MS * (0.5 + random() / 2))
  }

  /** The newest snapshot; the one that is held where the server says that it still is. */
  const fetchSnapshot = async (waitSeconds: number, timeoutMs: number): Promise<'same' | Held> => {
    const before = held
    const path = `/v1/snapshot${waitSeconds > 0 ? `?wait=${waitSeconds}` : ''}`
    const reply = await http.send({ method: 'GET', path, etag: before?.etag, timeoutMs })
    if (reply.status === 304 && before !== undefined) return 'same'
    if (reply.status === 200 && isRecord(reply.body) && Array.isArray(reply.body.migrations)) {
      return { etag: reply.etag ?? '', body: reply.body }
    }
    throw new Refused(refusalOf(reply))
  }

  const poll = async (): Promise<void> => {
    const from = clock.now()
    // The first answer says whether there is a server, and is not waited for.
    const holds = connected && from >= plainUntil
    try {
      const news = await fetchSnapshot(holds ? HOLD_SECONDS : 0, POLL_TIMEOUT_MS)
      if (closed) return
      attempt = 0
      const before = held
      if (news !== 'same') held = news
      if (!connected) {
        connected = true
        plainUntil = Number.NEGATIVE_INFINITY
        listener?.connected()
      } else if (news !== 'same') listener?.change(changeOf(before, news))
      const took = clock.now() - from
      // Answered before its time, and without news: nobody holds answers here, so the pace is ours to keep.
      const early = news === 'same' && took < (HOLD_SECONDS * 1_000) / 2
      again(early ? Math.max(0, INTERVAL_MS * (0.8 + 0.4 * random()) - took) : 0)
    } catch (error) {
      const refusal =
        error instanceof Refused
          ? error.refusal
          : { code: 'unreachable', message: messageOf(error), retryable: true }
      if (!holds || !refusal.retryable) return down(refusal)
      // A proxy that does not wait for so long, or the server is gone: a plain request will tell.
      plainUntil = clock.now() + PLAIN_MS
      again(backoff(0, random))
    }
  }

  const post = async (path: string, body: unknown, timeoutMs: number): Promise<unknown> => {
    const reply = await http.send({ method: 'POST', path, body, timeoutMs })
    if (reply.status >= 200 && reply.status < 300) return { ok: true, value: reply.body ?? null }
    const refusal = refusalOf(reply)
    // Who may not speak at all is told so by the next request for the snapshot.
    if (reply.status === 401 || reply.status === 403) throw new Refused(refusal)
    return { ok: false, error: refusal }
  }

  const request = async (event: keyof ClientToServer, body: unknown, timeoutMs: number): Promise<unknown> => {
    if (!connected) throw new Error('not connected')
    if (event === 'sync') {
      const news = await fetchSnapshot(0, timeoutMs)
      if (news !== 'same') held = news
      return { ok: true, value: held?.body }
    }
    if (event === 'register') {
      const { instance, incarnation } = body as { instance: string; incarnation: string }
      const answer = await post('/v1/sdk/register', body, timeoutMs)
      speaker = { instance, incarnation }
      return answer
    }
    if (speaker === undefined) throw new Error('not registered')
    const { instance, incarnation } = speaker
    const of = `/v1/sdk/instances/${encodeURIComponent(instance)}`
    return await post(`${of}/${event}?incarnation=${encodeURIComponent(incarnation)}`, body, timeoutMs)
  }

  return {
    get connected() {
      return connected
    },
    open: (to) => {
      listener = to
      void poll()
    },
    request,
    close: () => {
      closed = true
      connected = false
      cancel?.()
      http.close()
    },
  }
}

class Refused extends Error {
  readonly refusal: LinkRefusal

  constructor(refusal: LinkRefusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}

/**
 * A snapshot in the words of a change: everything anew, without what is not there any more. Whoever is not at
 * the snapshot before it finds a gap, and fetches everything.
 */
function changeOf(before: Held | undefined, news: Held): unknown {
  const gone = (list: 'migrations' | 'flags', key: 'id' | 'key'): readonly unknown[] => {
    const named = new Set(namesIn(news.body[list], key))
    return namesIn(before?.body[list], key).filter((name) => !named.has(name))
  }
  return {
    ...news.body,
    since: before?.body.revision ?? 0,
    removedMigrations: gone('migrations', 'id'),
    removedFlags: gone('flags', 'key'),
  }
}

const namesIn = (list: unknown, key: string): readonly unknown[] =>
  Array.isArray(list) ? list.flatMap((item) => (isRecord(item) ? [item[key]] : [])) : []

/** What an answer other than the one hoped for means; the server explains itself in a problem document. */
function refusalOf({ status, body }: HttpReply): LinkRefusal {
  const problem = isRecord(body) ? body : {}
  const code = status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : problem.code
  const detail = typeof problem.detail === 'string' ? problem.detail : `the server answered ${status}`
  const mayPass = status >= 500 || status === 429 || status === 408 || status === 404 || status < 400
  return {
    code: typeof code === 'string' ? code : 'unreachable',
    message: detail,
    retryable: typeof problem.retryable === 'boolean' ? problem.retryable : mayPass,
  }
}
