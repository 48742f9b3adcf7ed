import type { Express, NextFunction, Request, Response } from 'express'
import type { Authenticate } from './authenticate.ts'
import { authorize, authorizeScope } from './authenticate.ts'
import { HttpProblem } from './problem.ts'
import { readBody } from './read-body.ts'
import type { Route } from './route.ts'
import { parsePart } from './validate.ts'

export const requestIdOf = (request: Request): string =>
  typeof request.id === 'string' || typeof request.id === 'number' ? String(request.id) : 'unknown'

/** Mounts routes: who asks, may they, is it valid, then the handler; in this order, for each. */
export function mountRoutes(app: Express, routes: readonly Route[], authenticate: Authenticate): void {
  const methodsOf = new Map<string, string[]>()
  for (const route of routes) {
    const path = expressPath(route.path)
    methodsOf.set(path, [...(methodsOf.get(path) ?? []), route.method.toUpperCase()])
    app[route.method](path, async (request, response) => {
      try {
        await answer(route, authenticate, request, response)
      } catch (error) {
        const told = error instanceof HttpProblem ? route.problemAs?.(error, request.params) : undefined
        if (!(error instanceof HttpProblem) || told === undefined) throw error
        response
          .status(error.status)
          .set(error.extras.headers ?? {})
          .json(told)
      }
    })
  }
  for (const [path, methods] of methodsOf) app.all(path, notAllowed(methods))
}

const expressPath = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1')

async function answer(
  route: Route,
  authenticate: Authenticate,
  request: Request,
  response: Response,
): Promise<void> {
  // For the metrics: the pattern and not the address, which would make a series for each id.
  response.locals.route = route.path
  const principal = await authenticate(request, request.socket.remoteAddress ?? 'unknown')
  // What a cookie has opened is kept by nobody on the way.
  if (principal.session !== undefined) response.set('Cache-Control', 'no-store')
  authorize(principal, route.permission)
  const scoped = route.scopedBy === undefined ? undefined : request.params[route.scopedBy]
  if (typeof scoped === 'string') authorizeScope(principal, scoped)
  const params = route.params === undefined ? undefined : parsePart('path', route.params, request.params)
  const query = route.query === undefined ? noQuery(request) : parsePart('query', route.query, request.query)
  const read = route.method === 'get' ? undefined : await readBody(request, response)
  const body =
    route.body === undefined ? noBody(read?.value) : parsePart('body', route.body, read?.value ?? {})
  const reply = await route.handle(
    { params, query, body },
    {
      principal,
      headers: request.headers,
      raw: read?.raw ?? Buffer.alloc(0),
      requestId: requestIdOf(request),
      whenGone: (task) => void response.once('close', task),
    },
  )
  response.status(reply.status ?? route.status ?? 200)
  if (reply.headers !== undefined) response.set(reply.headers)
  if (reply.text !== undefined) response.type(reply.text.type).send(reply.text.content)
  else if (reply.body === undefined) response.end()
  else response.json(reply.body)
}

function noQuery(request: Request): undefined {
  const [first] = Object.keys(request.query)
  if (first !== undefined) throw new HttpProblem('invalid-request', `There is no parameter "${first}" here.`)
  return undefined
}

function noBody(value: unknown): undefined {
  const empty = typeof value === 'object' && value !== null && Object.keys(value).length === 0
  if (value !== undefined && !empty) throw new HttpProblem('invalid-request', 'This request takes no body.')
  return undefined
}

export const notAllowed = (methods: readonly string[]) => {
  const allowed = [...new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)].sort().join(', ')
  return (request: Request, response: Response, next: NextFunction): void => {
    if (request.method === 'OPTIONS') {
      response.set('Allow', allowed).status(204).end()
      return
    }
    const detail = `${request.method} is not allowed here; allowed: ${allowed}.`
    next(new HttpProblem('method-not-allowed', detail, { headers: { Allow: allowed } }))
  }
}
