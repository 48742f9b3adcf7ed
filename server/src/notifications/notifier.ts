import type { Db } from '../db/db.ts'
import type { Channels } from './channels.ts'
import type { Escalations } from './escalations.ts'
import { type DueNotification, markFailed, markSent, takeDue } from './outbox-store.ts'
import { SendError } from './send.ts'

export interface Notifier {
  /** Looks at once for what is to be told. */
  wake(): void
  /** Collects, escalates and sends what is due; resolves when nothing is. */
  run(): Promise<void>
  start(): void
  /** Takes nothing up any more and waits for what is being sent. */
  stop(): Promise<void>
}

export interface NotifierDeps {
  readonly db: Db
  readonly clock: () => number
  readonly collect: () => Promise<number>
  readonly escalations: Pick<Escalations, 'step'>
  readonly channels: Pick<Channels, 'send'>
  /** A number from 0 to 1. */
  readonly random: () => number
  readonly onFault: (error: unknown, during: string) => void
  readonly intervalMs: number
}

/** Longer than any attempt lasts. */
const LEASE_MS = 60_000
const SENDERS = 4
/** With the pauses between them about an hour, as the docs say. */
const MAX_ATTEMPTS = 16
const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 600_000

/** The loop by which what is written down is told: collected, escalated, sent, and sent again where that failed. */
export function createNotifier(deps: NotifierDeps): Notifier {
  const { db, clock, collect, escalations, channels, random, onFault } = deps
  let stopped = false
  let running: Promise<void> | undefined
  let again = false
  let timer: NodeJS.Timeout | undefined

  async function attempt({ id, channel, recipient, notice, attempts }: DueNotification): Promise<void> {
    try {
      await channels.send(channel, id, recipient ?? undefined, notice)
    } catch (error) {
      const isFinal = error instanceof SendError && !error.retryable
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** (attempts - 1), MAX_PAUSE_MS) * (0.5 + random() / 2)
      const asked = error instanceof SendError ? (error.retryAfterMs ?? 0) : 0
      const nextAt = isFinal || attempts >= MAX_ATTEMPTS ? undefined : clock() + Math.max(pause, asked)
      const message = error instanceof Error ? error.message : String(error)
      await markFailed(db, id, message, nextAt)
      if (nextAt === undefined) onFault(error, `a notice was given up: ${id}`)
      return
    }
    await markSent(db, id, clock())
  }

  async function send(): Promise<void> {
    for (;;) {
      if (stopped) return
      const due = await takeDue(db, clock(), LEASE_MS)
      if (due === undefined) return
      await attempt(due)
    }
  }

  async function look(): Promise<void> {
    do {
      again = false
      while (!stopped && (await collect()) > 0);
      while (!stopped && (await escalations.step()));
      // The steps have written into timelines, which may be to be told.
      while (!stopped && (await collect()) > 0);
      await Promise.all(Array.from({ length: SENDERS }, send))
    } while (again && !stopped)
  }

  function run(): Promise<void> {
    again = true
    running ??= look()
      .catch((error: unknown) => onFault(error, 'telling of what has happened'))
      .finally(() => {
        running = undefined
      })
    return running
  }

  return {
    run,
    wake: () => {
      if (!stopped) void run()
    },
    start: () => {
      timer ??= setInterval(() => void run(), deps.intervalMs).unref()
      void run()
    },
    stop: async () => {
      stopped = true
      clearInterval(timer)
      await running
    },
  }
}
