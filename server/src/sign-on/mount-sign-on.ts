import type { Express, Request, Response } from 'express'
import type { Logger } from 'pino'
import type { SignOnSettings } from '../config/sign-on-settings.ts'
import type { Clock } from '../db/clock.ts'
import { createAddressLimit } from '../http/address-limit.ts'
import { notAllowed } from '../http/mount-routes.ts'
import type { Cookies } from './cookies.ts'
import { CALLBACK } from './provider.ts'
import { returnPath } from './return-path.ts'
import type { Sessions } from './sessions.ts'
import { ATTEMPT_MS, type SignOn } from './sign-on.ts'
import { SignOnError, type SignOnTrouble } from './sign-on-error.ts'

export interface MountSignOnDeps {
  readonly settings: SignOnSettings
  readonly signOn: SignOn
  readonly sessions: Pick<Sessions, 'authenticate' | 'end'>
  readonly cookies: Cookies
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly clock: Clock
}

const OFFER = '/v1/sign-on'
const START = '/v1/sign-on/start'
/** Many people may sit behind one address; each begins a few times at most. */
const BEGINNINGS_ALLOWED = 120
const FAILURES_ALLOWED = 30

/**
 * What a browser goes through to sign in. These are addresses to visit and not calls of an API: they answer with
 * where to go next, and what went wrong becomes one word that the console has a sentence for.
 *
 * @param deps undefined where people sign in with tokens alone
 */
export function mountSignOn(app: Express, deps: MountSignOnDeps | undefined): void {
  app.get(OFFER, async (request, response) => {
    response.locals.route = OFFER
    response.set('Cache-Control', 'no-store')
    const session = deps?.cookies.sessionOf(request.headers)
    const known = session === undefined ? undefined : await deps?.sessions.authenticate(session, 'looked-at')
    response.json(
      deps === undefined
        ? { offered: false }
        : { offered: true, name: deps.settings.name, signedIn: known !== undefined },
    )
  })
  app.all(OFFER, notAllowed(['GET']))
  if (deps === undefined) return
  const { settings, signOn, sessions, cookies, log, clock } = deps
  const beginnings = createAddressLimit(BEGINNINGS_ALLOWED, clock)
  const failures = createAddressLimit(FAILURES_ALLOWED, clock)

  /** Back to the console, with the origin in front: whatever the path says, it leads to this server. */
  function goTo(response: Response, path: string, trouble?: SignOnTrouble): void {
    const to = new URL(settings.origin + path)
    if (trouble !== undefined) to.searchParams.set('sign-on', trouble)
    response.set({ 'Cache-Control': 'no-store', Location: to.href }).status(303).end()
  }

  /** What went wrong goes to the log; the browser gets one word of it. */
  function fail(request: Request, response: Response, path: string, error: unknown): void {
    if (!(error instanceof SignOnError)) throw error
    log.warn({ err: error, requestId: request.id }, 'somebody could not sign in')
    goTo(response, path, error.code)
  }

  const visit = (
    path: string,
    answer: (request: Request, response: Response, from: string) => Promise<void>,
  ) => {
    app.get(path, (request, response) => {
      response.locals.route = path
      return answer(request, response, request.socket.remoteAddress ?? 'unknown')
    })
    app.all(path, notAllowed(['GET']))
  }

  visit(START, async (request, response, from) => {
    const path = returnPath(request.query.return)
    if (beginnings.count(from) !== undefined) return goTo(response, path, 'too-many')
    try {
      const { to, browser } = await signOn.begin(path)
      response.append('Set-Cookie', cookies.setBrowser(browser, ATTEMPT_MS))
      response.set({ 'Cache-Control': 'no-store', Location: to.href }).status(303).end()
    } catch (error) {
      fail(request, response, path, error)
    }
  })

  visit(CALLBACK, async (request, response, from) => {
    response.append('Set-Cookie', cookies.clearBrowser())
    const address = new URL(settings.origin + request.originalUrl)
    try {
      const finished = await signOn.finish(address, cookies.browserOf(request.headers))
      const { returnTo } = finished
      if (!finished.ok) {
        const isTooMuch = failures.count(from) !== undefined
        if (isTooMuch) return goTo(response, returnTo, 'too-many')
        return fail(request, response, returnTo, finished.error)
      }
      // Whoever was signed in here before is not any more: one browser, one session.
      const before = await sessions.authenticate(cookies.sessionOf(request.headers) ?? '', 'looked-at')
      if (before?.session !== undefined) await sessions.end(before.session.id, before.name)
      response.append('Set-Cookie', cookies.setSession(finished.session, settings.sessionMs))
      log.info({ name: finished.name }, 'somebody signed in')
      goTo(response, returnTo)
    } catch (error) {
      if (error instanceof SignOnError && failures.count(from) !== undefined) {
        return goTo(response, '/', 'too-many')
      }
      fail(request, response, '/', error)
    }
  })
}
