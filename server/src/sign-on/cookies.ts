import type { IncomingHttpHeaders } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'

/** The two cookies of signing in. */
export interface Cookies {
  /** Text of the session that a request carries. */
  sessionOf(headers: IncomingHttpHeaders): string | undefined
  /** What ties the answer of the provider to the browser that asked. */
  browserOf(headers: IncomingHttpHeaders): string | undefined
  setSession(text: string, maxAgeMs: number): string
  setBrowser(text: string, maxAgeMs: number): string
  clearSession(): string
  clearBrowser(): string
}

const MAX_LENGTH = 200

/**
 * Neither can be read by a script. The session goes with no request that another site has caused, not even
 * with a link; the console asks for everything itself once it is there. The other one has to go with
 * the way back from the provider, which is another site.
 *
 * @param origin where browsers reach the server; over https the names are such that only this host can set them
 */
export function createCookies(origin: string): Cookies {
  const secure = new URL(origin).protocol === 'https:'
  const prefix = secure ? '__Host-' : ''
  const session = `${prefix}switchback-session`
  const browser = `${prefix}switchback-sign-on`
  const read = (headers: IncomingHttpHeaders, name: string): string | undefined => {
    const text = parseCookie(headers.cookie ?? '')[name]
    return text === undefined || text === '' || text.length > MAX_LENGTH ? undefined : text
  }
  const write = (name: string, sameSite: 'strict' | 'lax') => (text: string, maxAgeMs: number) =>
    stringifySetCookie(name, text, {
      httpOnly: true,
      secure,
      sameSite,
      path: '/',
      maxAge: Math.floor(maxAgeMs / 1000),
    })
  const setSession = write(session, 'strict')
  const setBrowser = write(browser, 'lax')
  return {
    sessionOf: (headers) => read(headers, session),
    browserOf: (headers) => read(headers, browser),
    setSession,
    setBrowser,
    clearSession: () => setSession('', 0),
    clearBrowser: () => setBrowser('', 0),
  }
}
