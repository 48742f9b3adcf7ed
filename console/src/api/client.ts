import type { Operations, Schemas } from './schema.d.ts'

export type Operation = keyof Operations
export type Answer<Key extends Operation> = Operations[Key]['answer']
export type Schema<Name extends keyof Schemas> = Schemas[Name]

export interface Input<Key extends Operation> {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Operations[Key]['query']
  readonly body?: Operations[Key]['body']
}

/** An answer that is not the one hoped for, in the server's words. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly code: string
  readonly action: string | undefined
  readonly blockers: Schema<'Problem'>['blockers']
  readonly fields: Schema<'Problem'>['problems']

  constructor(status: number, document: Partial<Schema<'Problem'>>) {
    super(document.detail ?? `The server answered ${status}.`)
    this.status = status
    this.code = document.code ?? 'unknown'
    this.action = document.action
    this.blockers = document.blockers
    this.fields = document.problems
  }
}

/** No answer at all: the network, or a server that is starting again. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

export type Call = <Key extends Operation>(
  operation: Key,
  input?: Input<Key>,
  signal?: AbortSignal,
) => Promise<Answer<Key>>

export interface CallerOptions {
  /** Undefined where the browser itself sends who it is, in a cookie. */
  readonly token: string | undefined
  /** Called when the server does not know the caller any more. */
  readonly onStranger: () => void
}

/** What every request of the console goes through. */
export function createCaller({ token, onStranger }: CallerOptions): Call {
  return async (operation, input, signal) => {
    const [method = 'GET', template = '/'] = operation.split(' ')
    const path = template.replace(/\{(\w+)\}/g, (_all, name: string) =>
      encodeURIComponent(input?.params?.[name] ?? ''),
    )
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(input?.query ?? {})) {
      if (value !== undefined && value !== '') query.set(name, String(value))
    }
    const response = await fetch(query.size > 0 ? `${path}?${query}` : path, {
      method,
      headers: {
        Accept: 'application/json',
        // What another site makes a browser send cannot carry this.
        'X-Switchback': 'console',
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(method === 'GET' ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(method === 'GET' ? {} : { body: JSON.stringify(input?.body ?? {}) }),
      ...(signal === undefined ? {} : { signal }),
    }).catch((error: unknown) => {
      if (signal?.aborted === true) throw error
      throw new Unreachable('The server cannot be reached.', { cause: error })
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') === true
    if (response.ok) return (text === '' ? undefined : isJson ? JSON.parse(text) : text) as never
    if (response.status === 401) onStranger()
    throw new Problem(response.status, parsed(text))
  }
}

function parsed(text: string): Partial<Schema<'Problem'>> {
  try {
    return JSON.parse(text) as Partial<Schema<'Problem'>>
  } catch {
    return {}
  }
}
