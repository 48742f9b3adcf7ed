import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Verdict } from './receiver.ts'
import { TOLERANCE_MS } from './receiver.ts'

export const passed: Verdict = { ok: true }
export const failed = (why: string): Verdict => ({ ok: false, why })

/** The header as one text; undefined where it is missing or came several times. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Compares in a time that tells nothing of how much was right. */
export function isEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

export const hmacHex = (secret: string, ...parts: readonly (string | Buffer)[]): string => {
  const hmac = createHmac('sha256', secret)
  for (const part of parts) hmac.update(part)
  return hmac.digest('hex')
}

/** Whether one of the claimed signatures is that of one of the secrets. Looks at all of them, whichever fits. */
export function matchesAny(
  claimed: readonly string[],
  secrets: readonly string[],
  sign: (secret: string) => string,
): boolean {
  let found = false
  for (const secret of secrets) {
    const right = sign(secret)
    for (const each of claimed) if (isEqual(each, right)) found = true
  }
  return found
}

/** Whether a time in seconds, as headers carry it, is near enough to now. */
export function isRecent(seconds: string, now: number): boolean {
  if (!/^\d{1,12}(\.\d{1,9})?$/.test(seconds)) return false
  return Math.abs(now - Number(seconds) * 1000) <= TOLERANCE_MS
}

/** The token of a request: bearer, or the password of basic, which some systems offer alone. */
export function sharedToken(headers: IncomingHttpHeaders): string | undefined {
  const authorization = headerOf(headers, 'authorization')
  if (authorization === undefined || authorization.length > 2000) return undefined
  const bearer = /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
  if (bearer !== undefined) return bearer
  const basic = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization)?.[1]
  if (basic === undefined) return undefined
  const text = Buffer.from(basic, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 || colon === text.length - 1 ? undefined : text.slice(colon + 1)
}
