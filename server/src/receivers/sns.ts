import { createVerify, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import type { SourceSettings, Verdict } from './receiver.ts'
import { failed, passed } from './signatures.ts'

export const snsSchema = z.looseObject({
  Type: z.enum(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  MessageId: z.string().min(1),
  TopicArn: z.string().min(1),
  Message: z.string(),
  Subject: z.string().nullish(),
  Timestamp: z.iso.datetime({ offset: true }),
  Token: z.string().optional(),
  SubscribeURL: z.string().optional(),
  SignatureVersion: z.enum(['1', '2']),
  Signature: z.string().min(1),
  SigningCertURL: z.string(),
})
export type SnsMessage = z.output<typeof snsSchema>

/** Messages older than this are refused; SNS gives up trying within an hour. */
const MAX_AGE_MS = 3_600_000
const KEPT = 20

const HOST = /^sns\.[a-z]{2}(-[a-z]+){1,3}-\d{1,2}\.amazonaws\.com(\.cn)?$/

/**
 * An address of SNS itself, or undefined. Both addresses in a message are its sender's to choose: whoever asked
 * any other would let strangers reach what only this server can reach, or bring a key of their own.
 */
export function snsUrl(text: string, path: RegExp): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const fits =
    url.protocol === 'https:' &&
    HOST.test(url.hostname) &&
    url.port === '' &&
    url.username === '' &&
    url.password === '' &&
    path.test(url.pathname)
  return fits ? url : undefined
}

const CERTIFICATE_PATH = /^\/SimpleNotificationService-[0-9a-f]{1,64}\.pem$/

/** What is signed: these fields in this order, each name and value on a line. */
function signedText(message: SnsMessage): string {
  const { Message, MessageId, Subject, SubscribeURL, Timestamp, Token, TopicArn, Type } = message
  const fields =
    Type === 'Notification'
      ? { Message, MessageId, Subject, Timestamp, TopicArn, Type }
      : { Message, MessageId, SubscribeURL, Timestamp, Token, TopicArn, Type }
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}\n${value}\n`)
    .join('')
}

/** Asks an address of SNS; rejects where it does not answer 200, is slow, or says too much. */
export type AskSns = (url: URL) => Promise<string>

export interface SnsVerifier {
  verify(message: SnsMessage, settings: SourceSettings, now: number): Promise<Verdict>
}

/** Checks signatures by certificates that come from SNS alone; kept, since they change about once a year. */
export function createSnsVerifier(ask: AskSns): SnsVerifier {
  const known = new Map<string, X509Certificate>()

  async function certificate(url: URL, now: number): Promise<X509Certificate | undefined> {
    const cached = known.get(url.href)
    const found = cached ?? new X509Certificate(await ask(url))
    if (now < Date.parse(found.validFrom) || now > Date.parse(found.validTo)) return undefined
    known.set(url.href, found)
    const oldest = known.keys().next().value
    if (known.size > KEPT && oldest !== undefined) known.delete(oldest)
    return found
  }

  return {
    verify: async (message, { topics = [] }, now) => {
      // Before anything is fetched: strangers' topics cost us nothing.
      if (!topics.includes(message.TopicArn)) return failed('the topic is not one of this source')
      const age = now - Date.parse(message.Timestamp)
      if (age > MAX_AGE_MS || age < -MAX_AGE_MS) return failed('the timestamp is old')
      const url = snsUrl(message.SigningCertURL, CERTIFICATE_PATH)
      if (url === undefined) return failed('SigningCertURL is not an address of SNS')
      const signer = await certificate(url, now).catch(() => undefined)
      if (signer === undefined) return failed('the certificate could not be had, or is not valid')
      const verify = createVerify(message.SignatureVersion === '1' ? 'RSA-SHA1' : 'RSA-SHA256')
      verify.update(signedText(message), 'utf8')
      const right = verify.verify(signer.publicKey, message.Signature, 'base64')
      return right ? passed : failed('the signature is not right')
    },
  }
}
