import type { Express, Request, RequestHandler, Response } from 'express'
import type { AlertInbox } from '../alerts/alert-inbox.ts'
import { overloaded } from '../alerts/alert-inbox.ts'
import { keepUnread } from '../alerts/dead-letters.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Queryable } from '../db/db.ts'
import { notAllowed } from '../http/mount-routes.ts'
import { HttpProblem } from '../http/problem.ts'
import { readRawBody } from '../http/read-body.ts'
import { handshake } from '../receivers/cloudevents.ts'
import type { Delivery, Verdict } from '../receivers/receiver.ts'
import { Unreadable } from '../receivers/receiver.ts'
import type { AskSns } from '../receivers/sns.ts'
import { WrongKeyError } from '../secrets/secret-box.ts'
import type { FoundSource } from './source-store.ts'
import type { Sources } from './sources.ts'

export interface HooksDeps {
  readonly db: Queryable
  readonly clock: Clock
  readonly newId: NewId
  readonly sources: Pick<Sources, 'find' | 'isBearer' | 'verifyToken' | 'verifySignature' | 'read' | 'used'>
  readonly inbox: Pick<AlertInbox, 'receive'>
  readonly askSns: AskSns
  readonly log: { warn(detail: object, message: string): void; info(detail: object, message: string): void }
}

/** Bodies that may be read at once: each takes up to a megabyte. */
const MAX_READING = 100

export const HOOK_PATH = '/v1/hooks/:source'

/**
 * Where alerting systems deliver. Nothing is parsed before the sender has proven itself over the bytes as they
 * came; what is proven is kept before it is answered.
 */
export function mountHooks(app: Express, deps: HooksDeps): void {
  const receive = createReceive(deps)
  const named =
    (handler: RequestHandler): RequestHandler =>
    (request, response, next) => {
      response.locals.route = '/v1/hooks/{source}'
      return handler(request, response, next)
    }
  app.post(HOOK_PATH, named(receive))
  app.options(
    HOOK_PATH,
    named((request, response, next) => {
      const answer = handshake(request.headers)
      if (answer === undefined) return next()
      response.set(answer).status(200).end()
    }),
  )
  app.all(HOOK_PATH, named(notAllowed(['POST'])))
}

function createReceive(deps: HooksDeps): (request: Request, response: Response) => Promise<void> {
  const { db, clock, newId, sources, inbox, askSns, log } = deps
  let reading = 0

  return async (request, response) => {
    if (reading >= MAX_READING) throw overloaded()
    reading++
    try {
      const name = String(request.params.source)
      const found = /^[a-z][a-z0-9-]{0,47}$/.test(name) ? await sources.find(name) : undefined
      // One answer for a source that is not there and for a wrong proof: nobody learns what there is.
      if (found === undefined) throw unproven(name, 'there is no such source')
      const delivery = await prove(name, found, request, response)
      response.status(202).json(await take(found, delivery))
    } finally {
      reading--
    }
  }

  function unproven(source: string, why: string): HttpProblem {
    log.info({ source, why }, 'a delivery was refused: its sender is not proven')
    return new HttpProblem('unauthenticated', 'The delivery does not prove where it comes from.', {
      action:
        'See that the address, the secret and the clock of the sender are right; the log says what was not.',
    })
  }

  async function prove(
    name: string,
    found: FoundSource,
    request: Request,
    response: Response,
  ): Promise<Delivery> {
    const { headers } = request
    const judge = (verdict: Verdict): void => {
      if (!verdict.ok) throw unproven(name, verdict.why)
    }
    const isBearer = sources.isBearer(found.source)
    if (isBearer) judge(sources.verifyToken(found, { headers }))
    const delivery = { headers, raw: await readRawBody(request, response), receivedAt: clock() }
    try {
      if (!isBearer) judge(await sources.verifySignature(found, delivery))
    } catch (error) {
      if (!(error instanceof WrongKeyError)) throw error
      log.warn({ source: name }, error.message)
      throw new HttpProblem('secret-key-missing', 'This server cannot read the secret of the source.', {
        action: 'Give every server the same SWITCHBACK_SECRET_KEY.',
        headers: { 'Retry-After': '30' },
      })
    }
    return delivery
  }

  async function take({ source }: FoundSource, delivery: Delivery): Promise<object> {
    try {
      const { signals, ignored, confirm } = sources.read(source, delivery)
      if (confirm !== undefined) {
        await askSns(confirm).catch((cause: unknown) => {
          const headers = { 'Retry-After': '20' }
          throw new HttpProblem('overloaded', 'SNS could not be asked just now.', { headers }, { cause })
        })
        log.info({ source: source.name }, 'a subscription was confirmed')
      }
      const accepted = signals.length === 0 ? [] : await inbox.receive(signals, source)
      await sources.used(source)
      return { accepted, ...(ignored === undefined ? {} : { ignored }) }
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      const { message } = error
      const kind = source.kind
      const id = await keepUnread(db, { id: newId('alr'), kind, source: source.id, delivery, error: message })
      log.warn(
        { source: source.name, alert: id },
        'a delivery could not be read; it is kept as a dead letter',
      )
      throw new HttpProblem('unreadable-alert', `The delivery cannot be read: ${message}`, {
        action: `It is kept: mend the sender, or POST /v1/alerts/${id}/replay.`,
      })
    }
  }
}
