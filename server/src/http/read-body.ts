import type { Request, Response } from 'express'
import { raw } from 'express'
import { HttpProblem } from './problem.ts'

const MAX_BODY_BYTES = 1_000_000

const readRaw = raw({ type: () => true, limit: MAX_BODY_BYTES })

/** The body as it came; empty where there is none. */
export async function readRawBody(request: Request, response: Response): Promise<Buffer> {
  await new Promise<void>((resolve, reject) => {
    readRaw(request, response, (error?: unknown) =>
      error === undefined ? resolve() : reject(explain(error)),
    )
  })
  const body: unknown = request.body
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

/** Reads a JSON body after the sender is known, and keeps it as it came: signatures are over those bytes. */
export async function readBody(
  request: Request,
  response: Response,
): Promise<{ readonly raw: Buffer; readonly value: unknown }> {
  const bytes = await readRawBody(request, response)
  if (bytes.length === 0) return { raw: bytes, value: undefined }
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!/^application\/([\w.-]+\+)?json$/.test(type)) {
    throw new HttpProblem(
      'unsupported-media-type',
      type === '' ? 'The body has no Content-Type.' : `The body is ${type}.`,
      { action: 'Send Content-Type: application/json.' },
    )
  }
  try {
    return { raw: bytes, value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'not JSON'
    throw new HttpProblem('malformed-json', `The body is not valid JSON: ${why}`, {}, { cause })
  }
}

/** Errors of the body reader carry a type by which they are told apart. */
function explain(error: unknown): unknown {
  const type = typeof error === 'object' && error !== null && 'type' in error ? error.type : undefined
  if (type === 'entity.too.large') {
    return new HttpProblem('too-large', `The body is larger than ${MAX_BODY_BYTES} bytes.`)
  }
  if (type === 'encoding.unsupported') {
    return new HttpProblem('unsupported-media-type', 'This Content-Encoding is not understood.')
  }
  if (type === 'request.aborted' || type === 'request.size.invalid') {
    return new HttpProblem('invalid-request', 'The body ended early.')
  }
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined
  return status === 400 ? new HttpProblem('invalid-request', 'The body cannot be read.') : error
}
