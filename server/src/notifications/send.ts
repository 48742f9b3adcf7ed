import { createTransport } from 'nodemailer'
import { Webhook } from 'standardwebhooks'
import type { ChannelKind, ChannelSecret, ChannelSettings } from './channel-store.ts'
import type { Message } from './messages.ts'
import { mailText, pagerdutyMessage, slackMessage, teamsMessage, webhookMessage } from './messages.ts'
import type { Notice } from './notice.ts'

/** A notice that did not arrive. */
export class SendError extends Error {
  override readonly name = 'SendError'
  /** Whether the same again may arrive later. */
  readonly retryable: boolean
  /** How long the other side asks to be left alone. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryable: boolean, retryAfterMs?: number, options?: ErrorOptions) {
    super(message, options)
    this.retryable = retryable
    this.retryAfterMs = retryAfterMs
  }
}

export interface Outgoing {
  /** Stays the same over all attempts, so that whoever gets it twice can tell. */
  readonly id: string
  readonly kind: ChannelKind
  readonly settings: ChannelSettings
  readonly secret: ChannelSecret
  /** Instead of the channel's own recipients. */
  readonly recipient: string | undefined
  readonly notice: Notice
}

export type Send = (outgoing: Outgoing) => Promise<void>

const TIMEOUT_MS = 10_000
const PAGERDUTY = 'https://events.pagerduty.com/v2/enqueue'

/** Sends a notice in the form of its channel, waiting so many milliseconds for an answer. @throws SendError */
export function createSend(now: () => number, timeoutMs = TIMEOUT_MS): Send {
  const post = (url: string | undefined, message: Message): Promise<void> =>
    postText(timeoutMs, url, JSON.stringify(message), {})

  return async ({ id, kind, settings, secret, recipient, notice }) => {
    switch (kind) {
      case 'slack':
        return await post(secret.url, slackMessage(notice))
      case 'teams':
        return await post(secret.url, teamsMessage(notice))
      case 'pagerduty':
        return await post(settings.url ?? PAGERDUTY, pagerdutyMessage(notice, secret.key ?? ''))
      case 'webhook': {
        const body = JSON.stringify(webhookMessage(notice))
        const at = new Date(now())
        return await postText(timeoutMs, settings.url, body, {
          'webhook-id': id,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': new Webhook(secret.key ?? '').sign(id, at, body),
        })
      }
      case 'email':
        return await mail(timeoutMs, { id, settings, secret, recipient, notice })
    }
  }
}

async function postText(
  timeoutMs: number,
  url: string | undefined,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  let response: Response
  try {
    response = await fetch(url ?? '', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'switchback', ...headers },
      body,
      // The address was judged when the channel was made; where it would lead on to was not.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    await response.arrayBuffer()
  } catch (cause) {
    throw new SendError(`no answer: ${reasonOf(cause, timeoutMs)}`, true, undefined, { cause })
  }
  if (response.ok) return
  const { status } = response
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const after = Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 3600) * 1000 : undefined
  const isLater = status >= 500 || status === 408 || status === 425 || status === 429
  throw new SendError(`the answer was ${status}`, isLater, after)
}

async function mail(
  timeoutMs: number,
  { id, settings, secret, recipient, notice }: Omit<Outgoing, 'kind'>,
): Promise<void> {
  const timeouts = { connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs }
  const transport = createTransport({ url: secret.url ?? '', ...timeouts })
  const from = settings.from ?? 'switchback@localhost'
  try {
    await transport.sendMail({
      from,
      to: recipient ?? [...(settings.to ?? [])],
      subject: `[switchback] ${notice.title}`,
      text: mailText(notice),
      messageId: `<${id}@switchback>`,
      // What belongs together is one thread.
      ...(notice.incident === undefined ? {} : { references: `<${notice.incident}@switchback>` }),
    })
  } catch (cause) {
    const code =
      typeof cause === 'object' && cause !== null && 'responseCode' in cause ? cause.responseCode : 0
    // 5xx is for good in SMTP.
    throw new SendError(reasonOf(cause, timeoutMs), !(typeof code === 'number' && code >= 500), undefined, {
      cause,
    })
  } finally {
    transport.close()
  }
}

/** In words, and never with the address: that of a chat is a secret. */
function reasonOf(cause: unknown, timeoutMs: number): string {
  const { name, code } = (cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause) as {
    name?: unknown
    code?: unknown
    responseCode?: unknown
  }
  if (name === 'TimeoutError') return `nothing within ${timeoutMs / 1000} s`
  return typeof code === 'string' ? code : 'the connection failed'
}
