import type { ClientToServer } from '@switchback/migrations-registry'

/** Why the server did not take the connection. */
export interface LinkRefusal {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

export interface LinkListener {
  connected(): void
  disconnected(reason: string): void
  /** An attempt has failed; another one follows, later where trying again is not likely to help. */
  failed(refusal: LinkRefusal): void
  change(body: unknown): void
  dismissed(body: unknown): void
}

/** A way to the server. Connects by itself, again and again, until it is closed. */
export interface Link {
  readonly connected: boolean
  open(listener: LinkListener): void
  /** @returns the answer as it came; rejects where there is none within the time */
  request(event: keyof ClientToServer, body: unknown, timeoutMs: number): Promise<unknown>
  close(): void
}
