import type { RequestHandler } from 'express'
import { type ConsoleFiles, consoleFolder, readConsole } from './console-files.ts'

/** Nothing but the server itself, no inline code, and no page may frame it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

/** Names that carry a hash of their content never change. */
const IMMUTABLE = 'public, max-age=31536000, immutable'
const API = /^\/(v1|ofrep|socket\.io|healthz|readyz|metrics)(\/|$)/

/**
 * Serves the console: its files by name, and its page for every other address that a browser asks for,
 * since the page itself knows its ways. Whoever does not ask for HTML is answered by the API.
 */
export function serveConsole(folder = consoleFolder()): RequestHandler {
  let reading: Promise<ConsoleFiles> | undefined
  return async (request, response, next) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return next()
    // With the first request: who never looks has nothing in memory.
    reading ??= readConsole(folder)
    const files = await reading
    const named = request.path === '/' ? undefined : files.get(request.path)
    const forPeople = !API.test(request.path) && request.accepts(['json', 'html']) === 'html'
    const file = named ?? (forPeople ? files.get('/index.html') : undefined)
    if (file === undefined) return next()
    response.locals.route = 'console'
    response.set({
      'Content-Type': file.type,
      'Content-Security-Policy': POLICY,
      'Cache-Control': request.path.startsWith('/assets/') ? IMMUTABLE : 'no-cache',
      ETag: file.etag,
      Vary: 'Accept-Encoding',
    })
    if (request.headers['if-none-match'] === file.etag) {
      response.status(304).end()
      return
    }
    if (request.acceptsEncodings(['gzip']) === 'gzip') {
      response.set('Content-Encoding', 'gzip').end(file.gzipped)
    } else {
      response.end(file.body)
    }
  }
}
