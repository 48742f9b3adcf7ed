import type { Express } from 'express'
import express from 'express'
import helmet from 'helmet'
import type { Logger } from 'pino'
import { pinoHttp } from 'pino-http'
import { serveConsole } from '../console/serve-console.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Health } from '../health/health.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { type MountSignOnDeps, mountSignOn } from '../sign-on/mount-sign-on.ts'
import { type HooksDeps, mountHooks } from '../sources/mount-hooks.ts'
import type { Tokens } from '../tokens/tokens.ts'
import { createAuthenticate, type SessionDoor } from './authenticate.ts'
import { errorHandler } from './error-handler.ts'
import { mountRoutes, notAllowed } from './mount-routes.ts'
import { openApiDocument } from './openapi.ts'
import { HttpProblem } from './problem.ts'
import type { Route } from './route.ts'

export interface AppDeps {
  readonly routes: readonly Route[]
  readonly tokens: Pick<Tokens, 'authenticate'>
  /** How people sign in who have no token; undefined where they do not. */
  readonly signOn?: { readonly door: SessionDoor; readonly visits: MountSignOnDeps }
  readonly health: Health
  /** Where alerting systems deliver. */
  readonly hooks: Omit<HooksDeps, 'log' | 'clock' | 'newId'>
  readonly metrics: Pick<Metrics, 'render' | 'request' | 'contentType'>
  readonly log: Logger
  readonly clock: Clock
  readonly newId: NewId
}

/** The HTTP side of a server; whoever calls it listens and adds the sockets. */
export function createApp(deps: AppDeps): Express {
  const { routes, tokens, health, metrics, log } = deps
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.set('query parser', 'simple')
  app.use(helmet())
  app.use(requestLog(deps))
  app.use((request, response, next) => {
    const from = performance.now()
    response.once('finish', () => {
      const route = typeof response.locals.route === 'string' ? response.locals.route : 'unknown'
      const seconds = (performance.now() - from) / 1000
      metrics.request({ method: request.method, route, status: response.statusCode, seconds })
    })
    response.set('X-Request-Id', String(request.id))
    next()
  })

  const document = openApiDocument(routes)
  const open: Readonly<Record<string, express.RequestHandler>> = {
    '/healthz': (_request, response) => void response.json({ status: 'up' }),
    '/readyz': async (_request, response) => {
      const readiness = await health.readiness()
      response.status(readiness.ready ? 200 : 503).json(readiness)
    },
    '/metrics': async (_request, response) => {
      const text = await metrics.render()
      response.set('Content-Type', metrics.contentType).end(text)
    },
    '/v1/openapi.json': (_request, response) => void response.json(document),
  }
  for (const [path, handler] of Object.entries(open)) {
    app.get(path, (request, response, next) => {
      response.locals.route = path
      return handler(request, response, next)
    })
    app.all(path, notAllowed(['GET']))
  }
  mountHooks(app, { ...deps.hooks, log, clock: deps.clock, newId: deps.newId })
  mountSignOn(app, deps.signOn?.visits)
  mountRoutes(app, routes, createAuthenticate(tokens, deps.clock, deps.signOn?.door))
  app.use(serveConsole())
  app.use((request) => {
    throw new HttpProblem('not-found', `There is nothing at ${request.path}.`, {
      action: 'See /v1/openapi.json.',
    })
  })
  app.use(errorHandler(log))
  return app
}

const REQUEST_ID = /^[\w.-]{1,64}$/
const QUIET = new Set(['/healthz', '/readyz', '/metrics'])

/** One line per answered request: no headers and no bodies, since both may carry secrets. */
const requestLog = ({ log, newId }: AppDeps) =>
  pinoHttp({
    logger: log,
    genReqId: (request) => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : newId('req')
    },
    autoLogging: { ignore: (request) => QUIET.has(request.url ?? '') },
    customLogLevel: (_request, response, error) =>
      error !== undefined || response.statusCode >= 500
        ? 'error'
        : response.statusCode >= 400
          ? 'info'
          : 'debug',
    wrapSerializers: false,
    serializers: {
      req: (request) => ({
        id: request.id,
        method: request.method,
        path: (request.url ?? '').split('?', 1)[0],
      }),
      res: (response) => ({ status: response.statusCode }),
    },
  })
