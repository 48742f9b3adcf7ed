import type { Blocker, DefinitionProblem } from '@switchback/migrations-registry'

/** The body of an error, as the server sends it (RFC 9457), with what is particular to Switchback. */
export interface Problem {
  readonly title: string
  readonly status: number
  readonly detail?: string
  readonly code?: string
  readonly action?: string
  readonly blockers?: readonly Blocker[]
  readonly problems?: readonly (Partial<DefinitionProblem> & { readonly message: string })[]
}

/** The server said no. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }
}

/** The server said no to the question itself: that is no answer to it. */
export class UndecidedError extends RefusedError {}

/** Nothing that speaks for Switchback answered. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
}

/** The command was used wrongly. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** A thin client of the REST API. */
export interface Client {
  readonly url: string
  call<Result>(method: Method, path: string, body?: unknown): Promise<Result>
  /** An answer that is text. */
  text(path: string): Promise<string>
}

export interface ClientOptions {
  readonly url: string
  readonly token: string | undefined
  readonly fetch: typeof fetch
}

const TIMEOUT_MS = 60_000

export function createClient({ url, token, fetch }: ClientOptions): Client {
  const base = url.replace(/\/+$/, '')

  async function ask(method: Method, path: string, body?: unknown) {
    try {
      const response = await fetch(base + path, {
        method,
        headers: {
          accept: 'application/json, text/markdown',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      return { response, text: await response.text() }
    } catch (error) {
      throw new UnreachableError(`no server answers at ${base}: ${causeOf(error)}`, { cause: error })
    }
  }

  return {
    url: base,
    async text(path: string): Promise<string> {
      const { response, text } = await ask('GET', path)
      if (response.ok) return text
      throw new RefusedError(toProblem(response, parse(text)))
    },
    async call<Result>(method: Method, path: string, body?: unknown): Promise<Result> {
      const { response, text } = await ask(method, path, body)
      const parsed = parse(text)
      if (response.ok && parsed !== undefined) return parsed as Result
      if (response.ok && text === '') return null as Result
      if (response.ok) throw new UnreachableError(`what answers at ${base} is not Switchback`)
      throw new RefusedError(toProblem(response, parsed))
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function toProblem(response: Response, body: unknown): Problem {
  const { status, statusText } = response
  if (typeof body === 'object' && body !== null && 'title' in body) return { ...(body as Problem), status }
  return { status, title: statusText || `HTTP ${status}`, detail: `The server answered ${status}.` }
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (cause instanceof AggregateError) return cause.errors.map((each: Error) => each.message).join('; ')
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message
}
