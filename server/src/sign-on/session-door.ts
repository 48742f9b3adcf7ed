import type { IncomingHttpHeaders } from 'node:http'
import type { Asking, SessionDoor } from '../http/authenticate.ts'
import type { Cookies } from './cookies.ts'
import type { Sessions } from './sessions.ts'

/** Sent by the console with every request; a form or a link of another site cannot send it. */
const MARK = 'x-switchback'

const isFromHere = (headers: IncomingHttpHeaders, origin: string): boolean => headers.origin === origin

/**
 * How sessions are let in over HTTP. A browser sends its cookie along with whatever makes it send a request, so a
 * change asks for two things more that only a page of this server has: its origin, and a header.
 */
export function createSessionDoor({
  sessions,
  cookies,
  origin,
}: {
  readonly sessions: Pick<Sessions, 'authenticate'>
  readonly cookies: Pick<Cookies, 'sessionOf'>
  readonly origin: string
}): SessionDoor {
  return {
    textOf: cookies.sessionOf,
    authenticate: (text) => sessions.authenticate(text),
    whyForged({ headers, method }: Asking) {
      if (method === 'GET' || method === 'HEAD') return undefined
      if (!isFromHere(headers, origin)) return `This change does not come from a page of ${origin}.`
      if (headers[MARK] !== 'console') return 'This change does not come from the console.'
      return undefined
    },
  }
}

/** The same for sockets: looking on is no use of a session, and only a page of this server may open one. */
export const createSocketDoor = ({ sessions, cookies, origin }: Parameters<typeof createSessionDoor>[0]) => ({
  textOf: (headers: IncomingHttpHeaders) =>
    isFromHere(headers, origin) ? cookies.sessionOf(headers) : undefined,
  authenticate: (text: string) => sessions.authenticate(text, 'looked-at'),
})
