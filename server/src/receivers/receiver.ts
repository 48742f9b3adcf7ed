import type { IncomingHttpHeaders } from 'node:http'
import type { Signal } from '@switchback/migrations-registry'

/** One delivery as it came in, before anything is believed of it. */
export interface Delivery {
  readonly headers: IncomingHttpHeaders
  readonly raw: Buffer
  /** Unix milliseconds. */
  readonly receivedAt: number
}

/** What a source may be told besides its secrets. */
export interface SourceSettings {
  /** CloudWatch: the topics whose messages are believed, and whose subscriptions are confirmed. */
  readonly topics?: readonly string[]
}

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly why: string }

/** What a delivery says. */
export interface Reading {
  readonly signals: readonly Signal[]
  /** Why nothing is made of it, where that is so on purpose. */
  readonly ignored?: string
  /** An address to be asked once, to confirm a subscription; proven to be the sender's own. */
  readonly confirm?: URL
}

/** One alerting system: how its deliveries are proven, and what they say. */
export interface Receiver {
  /**
   * `bearer`: a shared token in `Authorization`, of which a hash is kept. `signature`: the body is signed with a
   * shared secret. `certificate`: the body is signed by the sender's own key.
   */
  readonly proof: 'bearer' | 'signature' | 'certificate'
  /** Judges a delivery by its signature; called before the body is parsed. Not called for `bearer`. */
  verify?(
    delivery: Delivery,
    secrets: readonly string[],
    settings: SourceSettings,
  ): Verdict | Promise<Verdict>
  /** @throws Unreadable where the body is not what this system sends */
  read(delivery: Delivery): Reading
  /** Whether a secret has the form that the system wants; a message where not. */
  secretProblem?(secret: string): string | undefined
  /** A new secret, where it is ours to make; elsewhere the system makes it. */
  makeSecret?(randomBytes: (size: number) => Buffer): string
}

/** A proven delivery whose body is not what its system sends. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable'
}

/** How far the clock of a sender may be off, and how long a signed delivery may be on its way. */
export const TOLERANCE_MS = 300_000
