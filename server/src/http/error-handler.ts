import type { ErrorRequestHandler } from 'express'
import type { Logger } from 'pino'
import { isUnreachable } from '../db/store-error.ts'
import { requestIdOf } from './mount-routes.ts'
import { HttpProblem, problemDocument } from './problem.ts'

/** Turns whatever was thrown into a problem document. What went wrong inside is logged, never sent. */
export function errorHandler(log: Pick<Logger, 'error' | 'warn'>): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const problem = toProblem(error)
    const requestId = requestIdOf(request)
    if (problem.status === 500) log.error({ err: error, requestId }, 'a request failed')
    else if (problem.status === 503) log.warn({ err: error, requestId }, 'the store could not be reached')
    if (response.headersSent) {
      next(error)
      return
    }
    response
      .status(problem.status)
      .set(problem.extras.headers ?? {})
      .type('application/problem+json')
      .send(JSON.stringify(problemDocument(problem, requestId)))
  }
}

function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error
  if (isUnreachable(error)) {
    return new HttpProblem('store-unavailable', 'The store cannot be reached at the moment.', {
      action: 'Try again; instances keep working meanwhile.',
      headers: { 'Retry-After': '2' },
    })
  }
  // An address that cannot be decoded.
  if (error instanceof URIError) return new HttpProblem('invalid-request', 'The address is not valid.')
  return new HttpProblem('internal-error', 'Something went wrong; the log has it under the request id.')
}
