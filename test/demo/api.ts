import { setTimeout as sleep } from 'node:timers/promises'

/** The parts of the API's answers that the demo looks at. */
export interface MigrationView {
  readonly state: {
    readonly phase: string
    readonly epoch: number
    readonly since: number
    readonly rollout: { readonly step: number; readonly share: number; readonly canary: readonly string[] }
    readonly work?: { readonly kind: string; readonly status: string; readonly error?: string }
    readonly latch?: { readonly incident?: string; readonly reason: string }
  }
  readonly gate: { readonly open: boolean; readonly blockers: readonly Blocker[] }
  readonly works: readonly Work[]
}
export interface Blocker {
  readonly code: string
  readonly message: string
}
export interface Work {
  readonly kind: string
  readonly epoch: number
  readonly status: string
  readonly progress: {
    readonly stage: string
    readonly throttledBy?: string
    readonly done?: number
    readonly total?: number
    readonly rate?: number
  }
  readonly result?: Readonly<Record<string, unknown>>
}
export interface Incident {
  readonly id: string
  readonly title: string
  readonly alertToCommitMs?: number
  readonly alertToLastAckMs?: number
  readonly lastAckAt?: number
  readonly timeline: readonly { readonly at: number; readonly kind: string; readonly message: string }[]
}

export class ApiError extends Error {
  readonly status: number
  readonly blockers: readonly Blocker[]

  constructor(status: number, detail: string, blockers: readonly Blocker[]) {
    super(detail)
    this.status = status
    this.blockers = blockers
  }
}

/** A thin client of the REST API, with the token of one role. */
export class Api {
  readonly #url: string
  readonly #token: string

  constructor(url: string, token: string) {
    this.#url = url
    this.#token = token
  }

  async call<Result>(method: string, path: string, body?: unknown): Promise<Result> {
    const response = await fetch(this.#url + path, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const json = text === '' ? undefined : JSON.parse(text)
    if (!response.ok)
      throw new ApiError(response.status, `${method} ${path}: ${json?.detail ?? text}`, json?.blockers ?? [])
    return json as Result
  }

  migration(id: string): Promise<MigrationView> {
    return this.call('GET', `/v1/migrations/${id}`)
  }

  /** The migration, patiently: the server may be starting again at this moment. */
  async patiently(id: string): Promise<MigrationView> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.migration(id)
      } catch (error) {
        if (error instanceof ApiError || tries > 200) throw error
        await sleep(100)
      }
    }
  }
}
